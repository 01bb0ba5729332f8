"""What /observe promises about time, once more: dictionaries and loops instead of bytes in a ring."""

from dataclasses import dataclass, field

import numpy as np

from wattline.records import Signature
from wattline.task import FloatArray

SECOND = 1_000_000


@dataclass
class PlainUnit:
    """One unit.

    samples: step -> (time [us], column (name, unit of measure) -> value)
    origin: instant of step 0 [us]
    """

    signature: Signature
    gap_steps: int
    samples: dict[int, tuple[int, dict[tuple[str, str], float]]] = field(default_factory=dict)
    origin: int = 0

    def put(self, time: int, values: FloatArray) -> tuple[str, str]:
        """Take a sample. Returns its state, or "window" for the newest step, and a word of the note."""
        cadence, kept = self.cadence, (time, dict(zip(self.columns, values.tolist(), strict=True)))
        if not self.samples:
            self.origin, self.samples[0] = time, kept
            return "window", ""
        newest, step = max(self.samples), (2 * (time - self.origin) + cadence) // (2 * cadence)
        if step > newest:
            off = time - self.origin - step * cadence
            apart = time - self.samples[newest][0]
            if step - newest >= self.capacity or (abs(off) > cadence / 4 and apart >= cadence * 3 / 4):
                self.origin += off
            self.samples[step] = kept
            self.forget_old()
            return "window", ""
        step = next((known for known, (when, _) in self.samples.items() if when == time), step)
        if step <= newest - self.capacity:
            return "ignored", "older than the window"
        when, before = self.samples.get(step, (0, kept[1]))
        if when > time:
            return "ignored", "a newer sample"
        self.samples[step] = kept
        same = np.array_equal(list(before.values()), list(kept[1].values()), equal_nan=True)
        return "window" if step == newest else "late", "" if same else "replaces"

    def change(self, signature: Signature) -> None:
        """Go on with another model."""
        if signature.cadence_seconds != self.signature.cadence_seconds:
            self.samples.clear()
        self.signature = signature
        for step, (time, row) in self.samples.items():
            self.samples[step] = time, {name: row.get(name, np.nan) for name in self.columns}
        if self.samples:
            self.forget_old()

    def window(self) -> tuple[int, int, FloatArray]:
        """Steps of the window so far, how many of them were never recorded, and the (steps, columns) themselves."""
        newest, steps = max(self.samples), self.signature.steps
        have, gap = 0, 0
        for step in range(newest, newest - self.capacity, -1):
            gap = 0 if step in self.samples else gap + 1
            if gap > min(self.gap_steps, steps - 1):
                break
            if gap == 0:
                have = newest - step + 1
        have = min(have, steps)
        wanted = range(newest - steps + 1, newest + 1)
        missing = sum(step not in self.samples for step in wanted[steps - have :])
        nothing = 0, dict.fromkeys(self.columns, np.nan)
        rows = [list(self.samples.get(step, nothing)[1].values()) for step in wanted]
        return have, missing, np.array(rows, np.float32)

    def forget_old(self) -> None:
        """Drop what is older than anything that can still matter."""
        oldest = max(self.samples) - self.capacity + 1
        self.samples = {step: kept for step, kept in self.samples.items() if step >= oldest}

    @property
    def columns(self) -> list[tuple[str, str]]:
        return [(column.name, column.unit) for column in self.signature.columns]

    @property
    def cadence(self) -> int:
        return round(self.signature.cadence_seconds * SECOND)

    @property
    def capacity(self) -> int:
        return self.signature.steps + min(self.gap_steps, self.signature.steps - 1)
