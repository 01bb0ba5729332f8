"""From irregular samples to windows: rows per second beside pandas and polars, and a file larger than the memory.

Everybody gets the same samples of the same units in memory, one column of power about 20 s apart with jitter, and makes
mean, standard deviation, extremes and count of every five minutes. The answers are compared before they are timed.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import pandas
import polars
from clock import Figure

from flow import bounded
from wattline import windows
from wattline.task import Series

ROWS = 10_000_000
UNITS = 100
SECONDS = 300.0
TURNS = 3
AT_LEAST_PANDAS, AT_MOST_POLARS = 10.0, 2.0


def figures() -> Iterator[Figure]:
    """Print rows per second of all three, and give both ratios."""
    units = list(telemetry())
    frame, table = _pandas(units), _polars(units)
    contenders: dict[str, Callable[[], object]] = {
        "wattline.windows": lambda: ours(units),
        "polars group_by_dynamic": lambda: by_polars(table),
        "pandas groupby.resample": lambda: by_pandas(frame),
    }
    compare(ours(units), by_polars(table), by_pandas(frame))
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(TURNS):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    for name, taken in seconds.items():
        print(f"      {name:<24} {ROWS / median(taken) / 1e6:6.2f} million rows/s")
    mine, fast, plain = (median(taken) for taken in seconds.values())
    yield Figure("rows/s of prepare / pandas", plain / mine, AT_LEAST_PANDAS, at_least=True)
    yield Figure("time of prepare / polars", mine / fast, AT_MOST_POLARS)
    yield from bounded.figures()


def telemetry() -> Iterator[Series]:
    """Samples of each unit."""
    generator = np.random.default_rng(1)
    count = ROWS // UNITS
    for number in range(UNITS):
        seconds = np.arange(count) * 20 + generator.uniform(0, 15, count)
        timestamps = (np.round(seconds * 1e6).astype(np.int64) * 1000).astype("datetime64[ns]")
        values = (500 + 50 * generator.standard_normal(count)).astype(np.float32)
        yield Series(f"n{number:03d}", "rack", timestamps, values[:, None], np.full(count, np.nan))


def ours(units: list[Series]) -> np.ndarray:
    rows = [windows.windowed(unit, seconds=SECONDS, statistics=windows.LABELS).values for unit in units]
    return np.concatenate(rows)


def _pandas(units: list[Series]) -> pandas.DataFrame:
    return pandas.concat(
        pandas.DataFrame({"unit": unit.unit, "power": unit.values[:, 0].astype(np.float64)}, index=unit.timestamps)
        for unit in units
    )


def by_pandas(frame: pandas.DataFrame) -> np.ndarray:
    groups = frame.groupby("unit", sort=True)["power"].resample(f"{SECONDS:.0f}s", origin="epoch")
    parts = [groups.mean(), groups.std(ddof=0), groups.min(), groups.max(), groups.count()]
    return np.stack([part.to_numpy() for part in parts], axis=1)


def _polars(units: list[Series]) -> polars.DataFrame:
    return polars.concat(
        polars.DataFrame(
            {
                "unit": np.full(len(unit), number, dtype=np.uint32),
                "time": unit.timestamps,
                "power": unit.values[:, 0].astype(np.float64),
            }
        )
        for number, unit in enumerate(units)
    )


def by_polars(table: polars.DataFrame) -> polars.DataFrame:
    power = polars.col("power")
    return table.group_by_dynamic("time", every=f"{SECONDS:.0f}s", group_by="unit").agg(
        power.mean().alias("mean"),
        power.std(ddof=0).alias("std"),
        power.min().alias("min"),
        power.max().alias("max"),
        power.count().alias("count"),
    )


def compare(mine: np.ndarray, fast: polars.DataFrame, plain: np.ndarray) -> None:
    """All three say the same, up to our float32."""
    ordered = fast.sort("unit", "time").select(polars.col("mean", "std", "min", "max", "count").cast(polars.Float64))
    for other in (ordered.to_numpy(), plain):
        np.testing.assert_allclose(other, mine, rtol=1e-6, atol=1e-4)
