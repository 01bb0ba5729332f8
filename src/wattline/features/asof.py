"""Point-in-time features: nothing that was observed at the instant or later has any part in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline import grid, windows
from wattline.errors import InputError
from wattline.features.instants import Instants
from wattline.records import Manifest
from wattline.task import FloatArray, Series


@dataclass(frozen=True)
class Features:
    """The model's input for one unit.

    timestamps: (steps,) datetime64[ns], UTC, of its rows; consecutive instants of the axis
    values: (steps, columns) float32, NaN where nothing was recorded
    recorded: rows with any value
    """

    unit: str
    timestamps: NDArray[np.datetime64]
    values: FloatArray

    @property
    def recorded(self) -> int:
        return int((~np.isnan(self.values).all(axis=1)).sum())


def as_of(raw: Series, manifest: Manifest, *, instant: np.datetime64, steps: int) -> Features:
    """The last `steps` rows that are known at `instant`.

    raw: samples of the unit as `ingest` wrote them, in time order
    instant: UTC; only samples before it are looked at, and only rows that none of what comes can change
    Rows from before the unit's first one repeat that one, as in training. Raises InputError where there is none at all.
    """
    known = _before(raw, instant)
    if not len(known):
        raise InputError(f"unit {raw.unit} has no sample before {instant}Z; choose a later instant")
    instants = Instants.of(manifest)
    step = np.timedelta64(instants.step, "ns")
    last = np.datetime64(instants.last_known(int(instant.astype("datetime64[ns]").astype(np.int64))), "ns")
    rows = _reaching(_rows(known, manifest, instants), last, step)
    if not len(rows):
        raise InputError(f"unit {raw.unit} has no complete row at {instant}Z; choose a later instant")
    values = rows.windows(steps)[-1]
    return Features(raw.unit, last - step * np.arange(steps - 1, -1, -1), values)


def _before(raw: Series, instant: np.datetime64) -> Series:
    return raw.chosen(slice(0, int(np.searchsorted(raw.timestamps, instant.astype("datetime64[ns]")))))


def _rows(known: Series, manifest: Manifest, instants: Instants) -> Series:
    axis = manifest.axis
    if axis.window_seconds is not None:
        return windows.windowed(known, seconds=axis.window_seconds, statistics=axis.statistics)
    origin = np.datetime64(instants.origin, "ns")
    return grid.on_grid(known, cadence_seconds=manifest.cadence_seconds, origin=origin)


def _reaching(rows: Series, last: np.datetime64, step: np.timedelta64) -> Series:
    """Rows up to `last`: those after it are not complete, and those that are missing before it hold nothing."""
    kept = rows.chosen(slice(0, int(np.searchsorted(rows.timestamps, last, side="right"))))
    if not len(kept):
        return kept
    absent = int((last - kept.timestamps[-1]) / step)
    return Series(
        kept.unit,
        kept.group,
        np.concatenate([kept.timestamps, kept.timestamps[-1] + step * np.arange(1, absent + 1)]),
        np.concatenate([kept.values, np.full((absent, kept.values.shape[1]), np.nan, dtype=np.float32)]),
        np.concatenate([kept.target, np.full(absent, np.nan)]),
    )
