"""Location and spread of columns, fitted unit by unit."""

import numpy as np
from numpy.typing import NDArray

from wattline.task import Constants, Series


class Moments:
    """Collects location and spread of the rows it is shown, unit by unit."""

    def __init__(self) -> None:
        self.last_seen: dict[str, np.datetime64] = {}
        self._center: list[NDArray[np.float64]] = []
        self._spread: list[NDArray[np.float64]] = []

    def add(self, rows: Series) -> None:
        """Take the recorded values of one unit."""
        self.last_seen[rows.unit] = rows.timestamps[-1]
        values = rows.values.astype(np.float64)
        never = np.isnan(values).all(axis=0)
        values[:, never] = 0.0
        self._center.append(np.where(never, np.nan, np.nanmedian(values, axis=0)))
        self._spread.append(np.where(never, np.nan, np.nanstd(values, axis=0)))

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
