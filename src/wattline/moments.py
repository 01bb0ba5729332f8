"""Location and spread of columns, fitted unit by unit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline.task import Constants, Series


@dataclass(frozen=True)
class Fit:
    """Location and spread of one unit's columns, NaN where a column was never recorded.

    last_seen: timestamp of the last row that was looked at
    center, spread: (columns,) float64; median and standard deviation, in the units of the columns
    """

    unit: str
    last_seen: np.datetime64
    center: NDArray[np.float64]
    spread: NDArray[np.float64]


def fit(rows: Series) -> Fit:
    """Look at the recorded values of one unit."""
    values = rows.values.astype(np.float64)
    never = np.isnan(values).all(axis=0)
    values[:, never] = 0.0
    return Fit(
        unit=rows.unit,
        last_seen=rows.timestamps[-1],
        center=np.where(never, np.nan, np.nanmedian(values, axis=0)),
        spread=np.where(never, np.nan, np.nanstd(values, axis=0)),
    )


class Moments:
    """Collects location and spread of the rows it is shown, unit by unit."""

    def __init__(self) -> None:
        self.last_seen: dict[str, np.datetime64] = {}
        self._center: list[NDArray[np.float64]] = []
        self._spread: list[NDArray[np.float64]] = []

    def add(self, rows: Series) -> None:
        """Take the recorded values of one unit."""
        self.take(fit(rows))

    def take(self, found: Fit) -> None:
        """Take what was found for one unit."""
        self.last_seen[found.unit] = found.last_seen
        self._center.append(found.center)
        self._spread.append(found.spread)

    @property
    def varies(self) -> bool:
        """Whether any column of any unit has a spread."""
        return any((spread > 0).any() for spread in self._spread)

    def constants(self) -> Constants:
        """Per-unit figures, and pooled ones: the median unit's centre, and within plus between units' spread.

        A unit that never recorded a column has the pooled figures there.
        """
        center, spread = np.stack(self._center), np.stack(self._spread)
        nowhere = np.isnan(center).all(axis=0)
        center[:, nowhere] = spread[:, nowhere] = 0.0
        pooled_center = np.nanmedian(center, axis=0)
        pooled_spread = np.sqrt(np.nanmean(spread**2, axis=0) + np.nanvar(center, axis=0))
        return Constants(
            units=tuple(self.last_seen),
            center=np.where(np.isnan(center), pooled_center, center).astype(np.float32),
            scale=_nonzero(np.where(np.isnan(spread), pooled_spread, spread)),
            pooled_center=pooled_center.astype(np.float32),
            pooled_scale=_nonzero(pooled_spread),
        )


def _nonzero(spread: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
