"""One unit whose file is several times larger than the memory that `prepare` may have."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow
from clock import Figure
from pyarrow import parquet

from wattline import files, splits
from wattline.records import Column, Dataset, UnitRows

LIMIT_BYTES = 256 << 20
TIMES = 4
COLUMNS = tuple(Column(name=f"m{number:02d}", unit="1") for number in range(38))
ROWS_AT_ONCE = 100_000
CADENCE_SECONDS = 1.0
START = datetime(2026, 1, 1, tzinfo=UTC)

LIMITED = """
import resource, sys
from wattline import files, splits
from wattline.params import PrepareParams
from wattline.params.stages import WindowParams
import pyarrow.parquet, numpy, wattline.stages.prepare as prepare

class Task:
    def target(self, series):
        return numpy.zeros(len(series))

def used():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmData"))) << 10

pyarrow.set_cpu_count(1)
pyarrow.set_io_thread_count(1)
resource.setrlimit(resource.RLIMIT_DATA, (used() + int(sys.argv[1]),) * 2)
windows = WindowParams(seconds=300.0)
knobs = PrepareParams(windows=windows, validation_fraction=0.25, test_fraction=0.4, minimum_rows=50, gap_steps=1)
prepare.run(prepare=knobs, task=Task())
"""


def figures() -> Iterator[Figure]:
    """Run `prepare` under RLIMIT_DATA, beyond what its imports take, and print what the file holds."""
    with TemporaryDirectory(prefix="wattline-") as folder:
        path, rows = written(Path(folder))
        size = path.stat().st_size
        # Arrow's usual allocator reserves a gibibyte of addresses that it does not use.
        environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
        command = [sys.executable, "-c", LIMITED, str(LIMIT_BYTES)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"      {done.stderr.strip().splitlines()[-1]}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"      prepare of {rows:,} rows, {size / 2**20:.0f} MiB of Parquet, with {LIMIT_BYTES >> 20} MiB of data;"
        )
        print(f"      the largest process so far had {peak:.0f} MiB, imports included")
        yield Figure("size of a file that passes / memory", size / LIMIT_BYTES * (not done.returncode), TIMES, "", True)


def written(folder: Path) -> tuple[Path, int]:
    """The unit's file, and its rows."""
    path = folder / files.RAW / "n0.parquet"
    path.parent.mkdir(parents=True)
    kinds = [("timestamp", pyarrow.timestamp("us", tz="UTC")), *((one.name, pyarrow.float32()) for one in COLUMNS)]
    schema = pyarrow.schema([*kinds, ("target", pyarrow.float64())])
    generator, rows = np.random.default_rng(1), 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while path.stat().st_size < TIMES * LIMIT_BYTES:
            seconds = rows + np.arange(ROWS_AT_ONCE)
            instants = np.datetime64("2026-01-01", "us") + (seconds * 1_000_000).astype("timedelta64[us]")
            values = [generator.standard_normal(ROWS_AT_ONCE, dtype=np.float32) for _ in COLUMNS]
            writer.write_table(pyarrow.table([instants, *values, np.zeros(ROWS_AT_ONCE)], schema=schema))
            rows += ROWS_AT_ONCE
    unit = UnitRows(
        name="n0",
        group="n0",
        rows=rows,
        start=START,
        end=datetime.fromtimestamp(START.timestamp() + rows - 1, tz=UTC),
        sha256=files.sha256(path),
    )
    dataset = Dataset(
        name="large", source="generated", home="generated", licence="CC0-1.0", citation="none",
        cadence_seconds=CADENCE_SECONDS, columns=COLUMNS, units=(unit,), labelled=False,
    )  # fmt: skip
    files.write_text(folder / files.RAW / splits.DATASET, dataset.to_json())
    return path, rows
