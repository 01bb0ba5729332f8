"""What the regression sees of a window: how far each reading is from what is usual for its node."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tabular.columns import POWER
from wattline.task import Constants, FloatArray

Units = NDArray[np.int64]


@dataclass(frozen=True)
class Deviations:
    """Per-unit medians, the last of them for units that were never seen, and the fleet's spread.

    center: (units + 1, columns) float32
    scale: (columns,) float32
    largest: deviations beyond this count no more [scale]
    """

    center: FloatArray
    scale: FloatArray
    largest: float

    @classmethod
    def of(cls, constants: Constants, *, largest: float) -> Self:
        """Take them from what was fitted on train rows."""
        center = np.concatenate([constants.center, constants.pooled_center[None]])
        return cls(center, constants.pooled_scale, largest)

    @property
    def unknown(self) -> int:
        """Place of the unit that was never seen."""
        return len(self.center) - 1

    def places(self, units: Units) -> Units:
        """Rows of `center` for unit indices; anything outside is the unknown unit."""
        return np.where((units >= 0) & (units < self.unknown), units, self.unknown)

    def features(self, windows: FloatArray, units: Units) -> FloatArray:
        """(rows, steps * columns) from raw windows (rows, steps, columns); a missing reading is a usual one, 0."""
        center = self.center[self.places(units)][:, None]
        deviation = np.clip((windows - center) / self.scale, -np.float32(self.largest), np.float32(self.largest))
        return np.where(np.isnan(windows), np.float32(0), deviation).reshape(len(windows), -1)

    def usual_power(self, units: Units) -> FloatArray:
        """(rows,) median power of each row's unit [W]."""
        power: FloatArray = self.center[self.places(units), POWER]
        return power
