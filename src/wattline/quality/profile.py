"""Figures of every column, over all rows or an even sample of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline import splits
from wattline.records import Dataset, Figure, Record, UnitRows
from wattline.task import FloatArray, Series
from wattline.times import as_datetime64

QUANTILES = {"p01": 0.01, "p50": 0.5, "p99": 0.99}
FIGURES = ("mean", "standard_deviation", "minimum", *QUANTILES, "maximum")


class ColumnProfile(Record):
    """Figures of one column, in its unit; null where the column was never recorded.

    values, missing: rows with a finite value, and without one
    mean, standard_deviation, minimum, maximum: of all finite values
    p01, p50, p99: quantiles of the sampled rows
    missing_share: share of all rows without a finite value
    """

    values: int
    missing: int
    mean: Figure
    standard_deviation: Figure
    minimum: Figure
    p01: Figure
    p50: Figure
    p99: Figure
    maximum: Figure
    missing_share: float


class Profile(Record):
    """Outcome of `profile`. Figures of each unit by itself are in reports/profile/units.csv.

    sampled_rows: rows that quantiles and the comparison rest on; everything else rests on all `rows`
    later_rows: those of them in the later part
    unit_of: column -> unit of its figures
    """

    data: str
    rows: int
    sampled_rows: int
    later_rows: int
    units: int
    columns: Mapping[str, ColumnProfile]
    unit_of: Mapping[str, str]


@dataclass(frozen=True)
class Sample:
    """Rows evenly spread over units and time.

    values: (rows, columns) float32, NaN where there is no finite value
    later: (rows,) bool, whether a row is in the publisher's test part, or in the second half of its unit's rows in time
    """

    values: FloatArray
    later: NDArray[np.bool_]


@dataclass(frozen=True)
class UnitProfile:
    """Figures of one unit, all of them over all of its rows.

    values: (columns,) finite values
    figures: (columns, FIGURES), NaN where a column was never recorded
    """

    unit: UnitRows
    values: NDArray[np.int64]
    figures: NDArray[np.float64]

    @property
    def missing(self) -> NDArray[np.int64]:
        """(columns,) rows without a finite value."""
        return self.unit.rows - self.values


def profiled(dataset: Dataset, *, rows: int) -> tuple[Profile, tuple[UnitProfile, ...], Sample]:
    """Read every unit once. Raises IntegrityError when a partition is not what `ingest` recorded.

    rows: at most so many rows are sampled
    """
    count = min(rows, dataset.rows)
    chosen = np.arange(count) * dataset.rows // count
    moments, units, values, later = [], [], [], []
    begin = 0
    for unit in dataset.units:
        series = splits.read_raw(dataset, unit.name)
        finite = np.where(np.isfinite(series.values), series.values, np.nan)
        mine = chosen[(chosen >= begin) & (chosen < begin + len(finite))] - begin
        begin += len(finite)
        moments.append(_moments(finite))
        units.append(_of_unit(unit, finite, moments[-1]))
        values.append(finite[mine])
        later.append((series.timestamps >= boundary(dataset, series))[mine])
    sample = Sample(np.concatenate(values), np.concatenate(later))
    return _profile(dataset, np.stack(moments), sample), tuple(units), sample


def boundary(dataset: Dataset, series: Series) -> np.datetime64:
    """Where the later part of a unit begins: its official test part, or half of its time."""
    unit = next(unit for unit in dataset.units if unit.name == series.unit)
    if unit.test_start is not None:
        return as_datetime64(unit.test_start)
    first, last = series.timestamps[0], series.timestamps[-1]
    return np.datetime64(first + (last - first) / 2)


def _moments(finite: FloatArray) -> NDArray[np.float64]:
    """(6, columns): rows, finite values, their mean, variance, minimum and maximum (0, 0, inf, -inf without any)."""
    known = ~np.isnan(finite)
    count = known.sum(axis=0)
    divisor = np.maximum(count, 1)
    mean = np.where(known, finite, 0).sum(axis=0, dtype=np.float64) / divisor
    variance = np.where(known, (finite - mean) ** 2, 0).sum(axis=0) / divisor
    minimum = np.where(known, finite, np.inf).min(axis=0)
    maximum = np.where(known, finite, -np.inf).max(axis=0)
    return np.stack([np.full(len(count), len(finite)), count, mean, variance, minimum, maximum])


def _profile(dataset: Dataset, moments: NDArray[np.float64], sample: Sample) -> Profile:
    """Pool the units' moments (Chan, Golub & LeVeque 1983: within plus between) and take quantiles of the sample."""
    rows, count, means, variances, minima, maxima = moments.transpose(1, 0, 2)
    total = count.sum(axis=0)
    divisor = np.maximum(total, 1)
    mean = (count * means).sum(axis=0) / divisor
    variance = (count * (variances + (means - mean) ** 2)).sum(axis=0) / divisor
    figures = np.stack([mean, np.sqrt(variance), minima.min(axis=0), maxima.max(axis=0)])
    figures[:, total == 0] = np.nan
    return Profile(
        data=dataset.id,
        rows=int(rows[:, 0].sum()),
        sampled_rows=len(sample.values),
        later_rows=int(sample.later.sum()),
        units=len(dataset.units),
        columns={
            column.name: ColumnProfile(
                values=int(total[place]),
                missing=int(rows[:, 0].sum() - total[place]),
                **dict(zip(("mean", "standard_deviation", "minimum", "maximum"), figures[:, place], strict=True)),
                **_quantiles(sample.values[:, place]),
                missing_share=float(1 - total[place] / rows[:, 0].sum()),
            )
            for place, column in enumerate(dataset.columns)
        },
        unit_of={column.name: column.unit for column in dataset.columns},
    )


def _of_unit(unit: UnitRows, finite: FloatArray, moments: NDArray[np.float64]) -> UnitProfile:
    _, count, mean, variance, minimum, maximum = moments
    known = [np.sort(column[~np.isnan(column)]).astype(np.float64) for column in finite.T]
    quantiles = np.array([list(_quantiles(column).values()) for column in known])
    first, median, last = quantiles.T
    figures = np.stack([mean, np.sqrt(variance), minimum, first, median, last, maximum], axis=1)
    figures[count == 0] = np.nan
    return UnitProfile(unit, count.astype(np.int64), figures)


def _quantiles(values: NDArray[np.floating]) -> dict[str, float]:
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return dict.fromkeys(QUANTILES, np.nan)
    return {name: float(np.quantile(known, share)) for name, share in QUANTILES.items()}
