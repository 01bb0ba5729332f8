"""A day of a simulated cluster as arrays, to be spoilt and stored as `ingest` would have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from project.task import TASK
from wattline import files, splits
from wattline.params import QuarantineParams, ValidateParams
from wattline.records import Column, Dataset, Validation
from wattline.sources import open_source
from wattline.stages import validate
from wattline.task import Series

SEED = 7
OPTIONS = {"nodes": 5, "nodes_per_rack": 3, "days": 1.0}
VICTIM = 2
"""Which unit is spoilt."""


@dataclass(frozen=True)
class Fleet:
    """units: rows of each; columns: of all"""

    dataset: Dataset
    columns: tuple[Column, ...]
    units: tuple[Series, ...]

    def place(self, column: str) -> int:
        return [one.name for one in self.columns].index(column)

    def with_unit(self, unit: Series, place: int = VICTIM) -> "Fleet":
        return replace(self, units=(*self.units[:place], unit, *self.units[place + 1 :]))

    def with_values(self, column: str, values: np.ndarray, *, rows: slice = slice(None)) -> "Fleet":
        """The victim with other values in one column."""
        victim = self.units[VICTIM]
        changed = victim.values.copy()
        changed[rows, self.place(column)] = values
        return self.with_unit(replace(victim, values=changed))

    def values(self, column: str, unit: int = VICTIM) -> np.ndarray:
        return self.units[unit].values[:, self.place(column)].copy()

    def kept(self, rows: np.ndarray) -> "Fleet":
        """The victim with some of its rows alone."""
        one = self.units[VICTIM]
        return self.with_unit(Series(one.unit, one.group, one.timestamps[rows], one.values[rows], one.target[rows]))

    def at(self, timestamps: np.ndarray) -> "Fleet":
        """The victim at other instants."""
        return self.with_unit(replace(self.units[VICTIM], timestamps=timestamps))


def fleet() -> Fleet:
    source = open_source("simulator", OPTIONS, seed=SEED)
    units = tuple(unit.series for unit in source.units)
    dataset = Dataset(
        name=source.name,
        source="simulator",
        home=source.home,
        licence=source.licence,
        citation=source.citation,
        cadence_seconds=source.cadence_seconds,
        columns=source.columns,
        units=(),
        labelled=True,
    )
    return Fleet(dataset, tuple(source.columns), units)


def store(spoilt: Fleet) -> Dataset:
    """Write rows and their record."""
    names = [column.name for column in spoilt.columns]
    units = [
        {
            "name": unit.unit,
            "group": unit.group,
            "rows": len(unit),
            "start": instant(unit.timestamps.min()),
            "end": instant(unit.timestamps.max()),
            "sha256": files.write_series(files.RAW, unit, names),
        }
        for unit in spoilt.units
    ]
    dataset = Dataset.model_validate(spoilt.dataset.model_dump() | {"units": units, "columns": spoilt.columns})
    files.write_text(files.RAW / splits.DATASET, dataset.to_json())
    return dataset


def run(*, mode: str = "off", maximum_share: float = 0.01, first_rows: int = 3) -> Validation:
    """Validate what is stored with the example's own task. Raises InputError as the stage does."""
    chosen = QuarantineParams.model_validate({"mode": mode, "maximum_share": maximum_share})
    validate.run(validate=ValidateParams(first_rows=first_rows, quarantine=chosen), task=TASK)
    return report()


def report() -> Validation:
    return files.read_report("validate", Validation)


def instant(when: np.datetime64) -> datetime:
    if np.isnat(when):
        return datetime(2026, 1, 5, tzinfo=UTC)
    return datetime.fromtimestamp(int(when.astype("datetime64[us]").astype(np.int64)) / 1e6, tz=UTC)


def broken(found: Validation) -> Sequence[tuple[str, str, str]]:
    return [(finding.rule, finding.column, finding.severity) for finding in found.findings]
