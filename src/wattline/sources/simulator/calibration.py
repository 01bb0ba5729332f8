"""Columns of the simulated nodes, and the figures of real ones that their model is held against.

Figures: CINECA Marconi100, M100 ExaData (Borghesi et al., Scientific Data 10, 288, 2023, CC BY 4.0,
doi 10.1038/s41597-023-02174-3), fitted over 120 nodes from 15-minute aggregates of 20 s samples (Ganglia metrics:
988 nodes).
"""

from dataclasses import dataclass

from wattline.records import Column

CITATION = (
    "simulated; levels and spreads after M100 ExaData, Borghesi et al., Scientific Data 10, 288 (2023), "
    "doi 10.1038/s41597-023-02174-3"
)


@dataclass(frozen=True)
class Figures:
    """How one metric of real nodes behaves, in the unit of its column.

    mean: median over nodes of each node's median
    fast: median standard deviation within 15 minutes
    slow: median over nodes of the standard deviation of 15-minute means
    nodes: standard deviation over nodes of each node's median
    low, high: 1st and 99th percentile of the extremes
    """

    metric: str
    mean: float
    fast: float
    slow: float
    nodes: float
    low: float
    high: float


@dataclass(frozen=True)
class Sensor:
    """One column as its instrument reports it.

    resolution: smallest step of a reading [unit of the column]
    noise: standard deviation of one reading [unit of the column]
    low, high: what the instrument can report
    real: figures of the real metric, where M100 ExaData has one
    """

    column: Column
    resolution: float
    noise: float
    low: float
    high: float
    real: Figures | None = None


def _sensor(
    name: str,
    unit: str,
    description: str,
    *,
    resolution: float,
    noise: float,
    high: float,
    real: Figures | None = None,
) -> Sensor:
    column = Column(name=name, unit=unit, description=description)
    return Sensor(column, resolution, noise, 0.0, high, real)


SENSORS = (
    _sensor("cpu_user_percent", "%", "CPU time in user mode", resolution=0.1, noise=0.15, high=100,
            real=Figures("cpu_user", 3.1, 17.2621, 17.2621, 1.5138, 0.0, 88.3)),
    _sensor("load_one", "1", "one-minute load average (128 hardware threads)", resolution=0.01, noise=0.25, high=1e4),
    _sensor("p0_power_watts", "W", "power of socket 0", resolution=1, noise=1.5, high=400,
            real=Figures("p0_power", 51.1556, 4.2713, 39.6994, 8.2783, 8.0, 274.0)),
    _sensor("p1_power_watts", "W", "power of socket 1", resolution=1, noise=1.5, high=400,
            real=Figures("p1_power", 47.2444, 3.787, 39.401, 10.1498, 4.0, 280.0)),
    _sensor("gpu_utilization_percent", "%", "utilization of GPU 0", resolution=1, noise=0, high=100,
            real=Figures("Gpu0_gpu_utilization", 25.0, 36.1751, 36.1751, 13.5887, 0.0, 100.0)),
    _sensor("gpu_power_watts", "W", "power of the four GPUs", resolution=1, noise=4, high=1400),
    _sensor("total_power_watts", "W", "power of the whole node", resolution=20, noise=22, high=2500,
            real=Figures("total_power", 644.0, 62.093, 219.2751, 59.4183, 260.0, 1820.0)),
    _sensor("ambient_degc", "degC", "temperature of the air at the inlet", resolution=0.2, noise=0.1, high=60,
            real=Figures("ambient", 22.6222, 0.1303, 2.9612, 2.3615, 7.4, 31.8)),
    _sensor("p0_core_degc", "degC", "temperature of core 10 of socket 0", resolution=1, noise=0.4, high=110,
            real=Figures("p0_core10_temp", 43.2, 0.6762, 9.0747, 2.8815, 25.0, 72.0)),
    _sensor("p1_core_degc", "degC", "temperature of core 10 of socket 1", resolution=1, noise=0.4, high=110,
            real=Figures("p1_core10_temp", 42.4, 0.619, 8.7654, 3.2692, 25.0, 72.0)),
    _sensor("gpu_core_degc", "degC", "core temperature of GPU 0", resolution=1, noise=0.25, high=110,
            real=Figures("gpu0_core_temp", 41.6889, 0.4999, 9.0496, 2.5038, 25.0, 82.0)),
    _sensor("gpu_memory_degc", "degC", "memory temperature of GPU 0", resolution=1, noise=0.25, high=110,
            real=Figures("gpu0_mem_temp", 39.0, 0.5692, 9.8789, 2.3615, 23.0, 77.0)),
    _sensor("fan_rpm", "rpm", "speed of fan 0", resolution=100, noise=30, high=15_000,
            real=Figures("fan0_0", 4360.0, 42.2749, 489.6605, 414.0486, 0.0, 10_700.0)),
    _sensor("dimm_degc", "degC", "temperature of memory module 0", resolution=1, noise=0.1, high=100,
            real=Figures("dimm0_temp", 31.0, 0.0, 2.6408, 1.936, 18.0, 38.0)),
)  # fmt: skip
COLUMNS = tuple(sensor.column for sensor in SENSORS)
NAMES = tuple(column.name for column in COLUMNS)
