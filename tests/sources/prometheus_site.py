"""A real Prometheus with a known past, that scrapes an exporter of the test and a real node_exporter."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from debian import Tools
from energy.meters.servers import Answer, serving, wait

PAST = datetime(2026, 1, 5, tzinfo=UTC)
P0 = round(PAST.timestamp())
SCRAPE = 15
SAMPLES = 960
"""Four hours."""
LIVE = "live_watts"

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - {{job_name: live, honor_labels: true, static_configs: [{{targets: ["{exporter}"]}}]}}
  - {{job_name: node, static_configs: [{{targets: ["{node}"], labels: {{rack: r300}}}}]}}
"""
COLLECTORS = ("cpu", "loadavg", "meminfo", "diskstats", "netdev", "rapl")


@dataclass
class Site:
    """address: of Prometheus; node: what node_exporter is called there; lines: what the exporter of the test says"""

    address: str = ""
    node: str = ""
    lines: list[str] = field(default_factory=lambda: [f'{LIVE}{{instance="r400n01:9100"}} 250.5'])

    def __call__(self, _: str) -> Answer:
        text = "\n".join((*self.lines, ""))
        return Answer(text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

    def value(self, query: str, moment: float | None = None) -> float | None:
        """Of one series, as Prometheus says itself; None where it has none."""
        params = {"query": query} | ({"time": f"{moment:.3f}"} if moment is not None else {})
        try:
            answer = httpx.get(f"{self.address}/api/v1/query", params=params, timeout=30)
        except httpx.TransportError:
            return None
        result = answer.json()["data"]["result"] if answer.status_code == 200 else []
        return float(result[0]["value"][1]) if result else None


def past() -> str:
    """OpenMetrics with time stamps: what the nodes r205n01 and r205n02 were like."""
    families = {
        "node_power_watts": [
            # r205n01 was not scraped for an hour, from the second one on.
            *(('instance="r205n01:9100"', k, 500 + k) for k in range(SAMPLES) if not 240 <= k < 480),
            *(('instance="r205n02:9100"', k, "NaN" if k == 7 else "+Inf" if k == 8 else 600) for k in range(10)),
        ],
        "single_watts": [('instance="r205n03:9100"', 4, 1)],
        "core_watts": [(f'instance="r205n01:9100",core="{core}"', k, core) for core in (0, 1) for k in range(4)],
        "pdu_watts": [('pdu="a"', k, 1) for k in range(4)],
        "odd_watts": [('instance="../etc"', k, 1) for k in range(4)],
        "ipmi_dcmi_power_consumption_watts": [('instance="r205n01:9290"', k, 350 + k) for k in range(8)],
        "ipmi_power_watts": [(f'instance="r205n01:9290",name="PS{n}"', k, 200 + n) for n in (1, 2) for k in range(8)],
        "ipmi_temperature_celsius": [
            (f'instance="r205n01:9290",name="{name}"', k, value)
            for name, value in {
                "Inlet Temp": 21,
                "Ambient": 22,
                "CPU1 Temp": 60,
                "CPU2 Temp": 64,
                "Exhaust": 90,
            }.items()
            for k in range(8)
        ],
        "ipmi_fan_speed_rpm": [
            (f'instance="r205n01:9290",name="FAN{n}"', k, 4000 + 100 * n) for n in (1, 3) for k in range(8)
        ],
    }
    lines = []
    for name, samples in families.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [f"{name}{{{labels}}} {value} {P0 + k * SCRAPE}" for labels, k, value in samples]
    lines.append("# TYPE work_joules counter")
    lines += [f'work_joules_total{{instance="r205n01:9100"}} {k * SCRAPE * 120} {P0 + k * SCRAPE}' for k in range(60)]
    return "\n".join((*lines, "# EOF", ""))


@contextmanager
def running(tools: Tools, folder: Path) -> Iterator[Site]:
    """Prometheus and node_exporter on free ports of 127.0.0.1, once both have been scraped four times."""
    (folder / "past.txt").write_text(past())
    subprocess.run(
        [tools.path("promtool"), "tsdb", "create-blocks-from", "openmetrics", folder / "past.txt", folder / "data"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    site = Site()
    with serving(site) as exporter:
        site.node, place = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        target = exporter.address.removeprefix("http://")
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(exporter=target, node=site.node))
        commands = [
            [tools.path("prometheus-node-exporter"), f"--web.listen-address={site.node}",
             "--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS)],
            [tools.path("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
             f"--storage.tsdb.path={folder / 'data'}", "--storage.tsdb.retention.time=100y",
             f"--web.listen-address={place}", "--log.level=error"],
        ]  # fmt: skip
        site.address = f"http://{place}"
        processes = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands
        ]
        try:
            wait(lambda: (site.value(f"count_over_time({LIVE}[1m])") or 0) >= 4)
            wait(lambda: (site.value("count_over_time(node_load1[1m])") or 0) >= 4)
            yield site
        finally:
            for process in processes:
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
