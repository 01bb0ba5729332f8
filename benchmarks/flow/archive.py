"""A day of an M100 ExaData archive by the source, in turns with reading the same files whole by pandas."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
from clock import Figure, in_turns, paired_ratio

from wattline.sources import open_source

NODES, DAYS, CADENCE = 160, 30, 60
METRICS = ("total_power", "ambient")
ROUNDS = 5
AT_LEAST = 2.0
"""Of a month, one day is asked for; hashing the files and finding the nodes are part of it."""


def figures() -> Iterator[Figure]:
    """Print both, and give how much quicker the source is."""
    with TemporaryDirectory(prefix="wattline-") as folder:
        root = Path(folder)
        rows = sum(write(root, metric) for metric in METRICS)
        seconds = in_turns({"ours": lambda: ours(root), "pandas": lambda: brute_force(root)}, rounds=ROUNDS)
        expected, found = brute_force(root), ours(root)
        if found != expected:
            raise SystemExit(f"the source gave {found} rows, pandas {expected}")
        best = {name: min(times) for name, times in seconds.items()}
        print(f"      a day of {rows:,} rows: the source {best['ours']:.2f} s, pandas {best['pandas']:.2f} s")
        ratio = paired_ratio(seconds["pandas"], seconds["ours"])
        yield Figure("a day of an archive, pandas over the source", ratio, AT_LEAST, "x", at_least=True)


def write(root: Path, metric: str) -> int:
    """A month in time order, as a collector writes it: node after node at each instant."""
    ticks = DAYS * 86_400 // CADENCE
    stamps = np.repeat(np.datetime64("2022-03-01", "ms") + np.arange(ticks) * np.timedelta64(CADENCE, "s"), NODES)
    values = np.random.default_rng(1).normal(500, 50, len(stamps)).astype(np.int32)
    nodes = np.tile(np.arange(NODES).astype(str), ticks)
    folder = root / "year_month=22-03" / "plugin=ipmi_pub" / f"metric={metric}"
    folder.mkdir(parents=True)
    table = pa.table({"timestamp": pa.array(stamps), "value": values, "node": nodes})
    pq.write_table(table, folder / "a_0.parquet", row_group_size=100_000, compression="zstd")
    return len(stamps)


def ours(root: Path) -> int:
    """Rows of all nodes."""
    options = {
        "path": str(root),
        "metrics": {metric: {"unit": "1"} for metric in METRICS},
        "start": "2022-03-10T00:00:00Z",
        "end": "2022-03-11T00:00:00Z",
    }
    return sum(len(unit.series.timestamps) for unit in open_source("m100_archive", options, seed=0).units)


def brute_force(root: Path) -> int:
    """The same, reading every file whole."""
    frames = []
    for metric in METRICS:
        paths = sorted(root.glob(f"year_month=*/plugin=ipmi_pub/metric={metric}/*.parquet"))
        whole = pandas.concat([pq.ParquetFile(path).read().to_pandas() for path in paths])
        day = whole[(whole["timestamp"] >= "2022-03-10") & (whole["timestamp"] < "2022-03-11")]
        last = day.drop_duplicates(["node", "timestamp"], keep="last")
        frames.append(last.pivot_table(index="timestamp", columns="node", values="value"))
    return int(sum(frame.notna().to_numpy().sum() for frame in frames) / len(METRICS))
