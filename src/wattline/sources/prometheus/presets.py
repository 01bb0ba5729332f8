"""What common exporters call things, as columns: PromQL in which `$unit` and `$window` are filled in.

Names of node_exporter: https://github.com/prometheus/node_exporter; of ipmi_exporter:
https://github.com/prometheus-community/ipmi_exporter/blob/master/docs/metrics.md
"""

from collections.abc import Mapping
from typing import NamedTuple


class Expression(NamedTuple):
    """query: PromQL with one series for each unit; unit: of its values"""

    query: str
    unit: str
    description: str


NODE_EXPORTER: Mapping[str, Expression] = {
    "cpu_share": Expression(
        '100 * (1 - avg by ($unit) (rate(node_cpu_seconds_total{mode="idle"}[$window])))',
        "%",
        "CPU time that was not idle, of all CPUs",
    ),
    "load_one": Expression("node_load1", "1", "one-minute load average"),
    "memory_used": Expression(
        "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "B", "memory that is not available to programs"
    ),
    "disk_read": Expression("sum by ($unit) (rate(node_disk_read_bytes_total[$window]))", "B/s", "all disks"),
    "disk_written": Expression("sum by ($unit) (rate(node_disk_written_bytes_total[$window]))", "B/s", "all disks"),
    "network_in": Expression(
        'sum by ($unit) (rate(node_network_receive_bytes_total{device!="lo"}[$window]))', "B/s", "all interfaces"
    ),
    "network_out": Expression(
        'sum by ($unit) (rate(node_network_transmit_bytes_total{device!="lo"}[$window]))', "B/s", "all interfaces"
    ),
    "packages_power": Expression(
        "sum by ($unit) (rate(node_rapl_package_joules_total[$window]))",
        "W",
        "CPU packages by RAPL",
    ),
}
IPMI_EXPORTER: Mapping[str, Expression] = {
    "power": Expression("max by ($unit) (ipmi_dcmi_power_consumption_watts)", "W", "node power by DCMI"),
    "supplies_power": Expression("sum by ($unit) (ipmi_power_watts)", "W", "sum of all sensors of power"),
    "inlet": Expression(
        'min by ($unit) (ipmi_temperature_celsius{name=~"(?i).*(inlet|ambient).*"})', "degC", "coldest inlet"
    ),
    "cpu_temperature": Expression(
        'max by ($unit) (ipmi_temperature_celsius{name=~"(?i).*(cpu|proc).*"})', "degC", "hottest CPU"
    ),
    "fan_speed": Expression("avg by ($unit) (ipmi_fan_speed_rpm)", "rpm", "mean of all fans"),
}
PRESETS: Mapping[str, Mapping[str, Expression]] = {"node_exporter": NODE_EXPORTER, "ipmi_exporter": IPMI_EXPORTER}
