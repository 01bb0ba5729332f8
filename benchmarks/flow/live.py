"""From MQTT packets to scores for a whole fleet: samples per second, and joules for a million samples.

The bytes are those that a broker sends to a subscriber. Window after window of all nodes is decoded, aggregated and
scored by the graph of the example, which is trained here on a few simulated nodes with windows. The energy is an
estimate: CPU time times the power of a busy core, as params.yaml states it.
"""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import yaml
from clock import Figure

from flow import broker
from wattline import files, params, splits
from wattline.live import packets
from wattline.live.running import Live
from wattline.params import LiveParams
from wattline.records import Manifest
from wattline.sources.mqtt.source import Options

ROOT = Path(__file__).resolve().parents[2]
LARGE, MARCONI = 10_000, 980
WINDOW_SECONDS, CADENCE_SECONDS = 60.0, 20.0
TURNS = 5
AT_LEAST_PER_SECOND, AT_MOST_SECONDS = 250_000.0, 20.0
PUBLISHED_SECONDS = 120.0
"""Between two predictions for all nodes of Marconi100, as published."""
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Window:
    """What all nodes say in one window. data: as a broker sends it; end: of the window [s since 1970]"""

    data: bytes
    samples: int
    end: float


def figures() -> Iterator[Figure]:
    """Print what both fleets take, and give what has a limit."""
    watts = params.load(ROOT / "params.yaml").block.energy.watts_per_core
    with TemporaryDirectory(prefix="wattline-") as folder, contextlib.chdir(folder):
        manifest = trained(Path(folder))
        rates = {}
        for nodes in (MARCONI, LARGE):
            rate, latest, joules = fleet(nodes, manifest, watts)
            rates[nodes] = rate, latest
            print(
                f"      {nodes:>6,} nodes: {rate:>9,.0f} samples/s; the last score {latest:.2f} s after the window "
                f"closed; {joules:.1f} J for a million samples (estimated: {watts} W for each second of CPU)"
            )
        window = said(LARGE, [column.name for column in manifest.raw_columns], past(2))
        broker.compare(window.data, window.samples, live=scorer(LARGE, manifest), folder=Path(folder))
    print(f"      all {MARCONI} nodes of Marconi100 every {PUBLISHED_SECONDS:.0f} s is what was published")
    yield Figure(f"samples/s for {LARGE:,} nodes", rates[LARGE][0], AT_LEAST_PER_SECOND, at_least=True)
    yield Figure(f"s until all {LARGE:,} nodes have a score", rates[LARGE][1], AT_MOST_SECONDS, "s")


def trained(folder: Path) -> Manifest:
    """Train the example on windows of a small simulated cluster."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = tree["node_anomaly"]
    block["ingest"]["options"]["simulator"] = {"nodes": 4, "days": 2, "cadence_seconds": CADENCE_SECONDS}
    block["prepare"]["windows"] = {"seconds": WINDOW_SECONDS}
    (folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    for name in ("src", "dvc.yaml"):
        (folder / name).symlink_to(ROOT / name)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    for stage in ("ingest", "prepare", "train"):
        command = [sys.executable, "-m", "wattline", "run", stage]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return splits.read_manifest(folder / files.PREPARED)


def scorer(nodes: int, manifest: Manifest) -> Live:
    """The live path for so many nodes."""
    metrics = {column.name: {"unit": "1"} for column in manifest.raw_columns}
    options = Options.model_validate({"broker": "mqtt://127.0.0.1:1883", "metrics": metrics})
    return Live.of(files.CANDIDATE, manifest, options, LiveParams(lateness_seconds=0.001, maximum_units=nodes))


def fleet(nodes: int, manifest: Manifest, watts: float) -> tuple[float, float, float]:
    """Samples per second, seconds from a closed window to its last score, and joules for a million samples."""
    columns, live = [column.name for column in manifest.raw_columns], scorer(nodes, manifest)
    begin = past(TURNS + 2)
    rates, latest, cpu, samples = [], [], 0.0, 0
    for turn in range(TURNS + 1):
        window = said(nodes, columns, begin + turn * WINDOW_SECONDS)
        before, started = _cpu_seconds(), time.perf_counter()
        rest = b""
        for place in range(0, len(window.data), CHUNK_BYTES):
            data = rest + window.data[place : place + CHUNK_BYTES]
            found = packets.cut(data)
            rest = data[found.used :]
            live.take(found, now=time.time())
        closed = time.perf_counter()
        answers = sum(len(scored.units) for scored in live.close(window.end + 0.01))
        ended = time.perf_counter()
        assert answers == nodes, (answers, nodes)
        if turn:  # the first one reads every topic
            rates.append(window.samples / (ended - started))
            latest.append(ended - closed)
            cpu, samples = cpu + _cpu_seconds() - before, samples + window.samples
    return median(rates), max(latest), cpu * watts / samples * 1e6


def past(windows: int) -> float:
    """When the window of so many windows ago began [s since 1970]."""
    return time.time() // WINDOW_SECONDS * WINDOW_SECONDS - windows * WINDOW_SECONDS


def said(nodes: int, columns: list[str], begin: float) -> Window:
    """Every node says every metric every 20 s, with jitter."""
    generator = np.random.default_rng(round(begin))
    messages, count = [], 0
    for sample in range(round(WINDOW_SECONDS / CADENCE_SECONDS)):
        instants = begin + CADENCE_SECONDS * sample + generator.uniform(0, CADENCE_SECONDS - 1, nodes)
        for column in columns:
            values = generator.normal(500, 50, nodes)
            for node in range(nodes):
                topic = f"org/cineca/cluster/m100/node/r{node // 20:03d}n{node % 20 + 1:02d}/plugin/ipmi_pub/chnl/data"
                body = f"{values[node]:.3f};{instants[node]:.3f}"
                messages.append(packets.publish(f"{topic}/{column}".encode(), body.encode()))
        count += nodes * len(columns)
    return Window(b"".join(messages), count, begin + WINDOW_SECONDS)


def _cpu_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime
