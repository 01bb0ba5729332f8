"""When rows are, and from when on nothing that is observed can change them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline.records import Manifest
from wattline.times import nanoseconds


@dataclass(frozen=True)
class Instants:
    """Timestamps of the rows of a prepared dataset: `origin` and every multiple of `step` from there.

    origin: ns since 1970, UTC; step: [ns]
    delay: from a row's timestamp until it is known [ns]. A window is known at its end, which is its timestamp. A row at
        the cadence takes the nearest sample, so it is known half a step after its timestamp
    """

    origin: int
    step: int
    delay: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Instants":
        step = round(manifest.cadence_seconds * 1e9)
        origin = nanoseconds(manifest.axis.origin)
        return cls(origin, step, delay=0 if manifest.axis.window_seconds is not None else step - step // 2)

    def last_known(self, now: int) -> int:
        """Timestamp of the last row that nothing observed at `now` [ns] or later can change."""
        return self.origin + (now - self.delay - self.origin) // self.step * self.step

    def rows(self, observed: NDArray[np.int64]) -> NDArray[np.int64]:
        """Timestamp of the row that each sample belongs to, by when it was observed [ns]."""
        return self.origin + ((observed - self.delay - self.origin) // self.step + 1) * self.step
