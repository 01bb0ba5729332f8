"""From a source to a stored snapshot: rows per second beside PyArrow writing the same files without any check.

Everybody has the same rows, one day of 200 nodes at 20 s in five columns, and leaves one Parquet file for each node.
CPU seconds are compared, in turns: the wall depends on the disk.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import pyarrow
from clock import Figure
from pyarrow import dataset

from flow import telemetry_of_a_day as fleet
from wattline.snapshots import taking
from wattline.snapshots.pull import Question

TURNS = 3
DAY = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
AT_MOST_PYARROW, AT_MOST_PAGES = 4.0, 10.0


def figures() -> Iterator[Figure]:
    """Print rows per second of each way, and give what checking, digests and pages cost."""
    rows = fleet.NODES * 86_400 // fleet.CADENCE_SECONDS
    table = _table()
    ways: dict[str, Callable[[], object]] = {
        "pyarrow write_dataset": lambda: by_pyarrow(table),
        "snapshot, one page": partial(take, 24.0),
        "snapshot, 4 pages": partial(take, 6.0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        for _ in range(TURNS):
            for name, way in ways.items():
                with tempfile.TemporaryDirectory() as folder, chdir(folder):
                    begin = time.process_time()
                    way()
                    seconds[name].append(time.process_time() - begin)
    for name, taken in seconds.items():
        print(f"      {name:<24} {rows / median(taken) / 1e6:6.2f} million rows/s of CPU time")
    plain, whole, pages = (median(taken) for taken in seconds.values())
    yield Figure("CPU time of a snapshot / pyarrow", whole / plain, AT_MOST_PYARROW)
    yield Figure("the same in 4 pages / pyarrow", pages / plain, AT_MOST_PAGES)


def take(page_hours: float) -> None:
    """Pull, check, digest and store one day, without DVC."""
    question = Question("flow.telemetry_of_a_day", {}, 7, *DAY, page_hours=page_hours)
    taking.take(question, dvc=False, say=str)


def _table() -> pyarrow.Table:
    source = fleet.open(fleet.Options(start=DAY[0], end=DAY[1]), seed=7)
    parts = []
    for unit in source.units:
        columns = {name: unit.series.values[:, place] for place, name in enumerate(unit.columns)}
        names = pyarrow.array([unit.series.unit] * len(unit.series.timestamps)).dictionary_encode()
        parts.append(pyarrow.table({"unit": names, "timestamp": unit.series.timestamps, **columns}))
    return pyarrow.concat_tables(parts).unify_dictionaries()


def by_pyarrow(table: pyarrow.Table) -> None:
    """One folder for each node."""
    form = dataset.ParquetFileFormat()
    partitioning = dataset.partitioning(pyarrow.schema([("unit", table.schema.field("unit").type)]), flavor="hive")
    dataset.write_dataset(
        table,
        Path("written"),
        format=form,
        file_options=form.make_write_options(compression="zstd", compression_level=3),
        partitioning=partitioning,
        max_partitions=fleet.NODES,
        max_open_files=fleet.NODES,
    )
