"""The newest samples of one unit, each at its step of the unit's grid, in whatever order they come."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from wattline.records import Signature
from wattline.task import FloatArray

INSTANT = np.dtype("<i8")
VALUE = np.dtype("<f4")

Placed = Literal["newest", "replaced", "late", "late, replaced", "superseded", "expired"]


@dataclass(frozen=True)
class Layout:
    """What the bytes of a ring mean.

    cadence: distance of two steps [us]
    gap: missing steps in a row that do not interrupt a window
    columns: name and unit of measure of each value in a row: a column in other units is another column
    """

    steps: int
    cadence: int
    gap: int
    columns: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, signature: Signature, *, gap_steps: int) -> Self:
        """What a ring for windows of `signature` holds."""
        return cls(
            steps=signature.steps,
            cadence=max(1, round(signature.cadence_seconds * 1e6)),
            # After as many missing steps as a window has, nothing of the former window is left to go on with.
            gap=min(gap_steps, signature.steps - 1),
            columns=tuple((column.name, column.unit) for column in signature.columns),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse what `text` made."""
        steps, cadence, gap, columns = json.loads(text)
        return cls(steps, cadence, gap, tuple((name, unit) for name, unit in columns))

    @cached_property
    def text(self) -> str:
        """Equal layouts have equal texts."""
        return json.dumps([self.steps, self.cadence, self.gap, self.columns])

    @cached_property
    def capacity(self) -> int:
        """Steps of a ring: a window, and before it what tells a gap in it from a beginning."""
        return self.steps + self.gap

    @cached_property
    def missing(self) -> bytes:
        """The row of a step that was never recorded."""
        return np.full(len(self.columns), np.nan, VALUE).tobytes()


@dataclass(slots=True)
class Ring:
    """A ring of `layout.capacity` steps. A new sample changes few of its bytes, so few pages of a file.

    newest: instant of the grid that the newest sample belongs to [us since 1970]
    times: (capacity,) timestamps of the samples [us since 1970], 0 where none was recorded; the largest is the newest
    rows: (capacity, columns) values in raw units, NaN where nothing was recorded
    """

    layout: Layout
    newest: int
    times: bytearray
    rows: bytearray

    @classmethod
    def empty(cls, layout: Layout) -> Self:
        """A ring without a sample."""
        return cls(layout, 0, bytearray(8 * layout.capacity), bytearray(layout.missing * layout.capacity))

    def put(self, time: int, row: bytes) -> Placed:
        """Keep a sample at its step: of two samples of one step the one with the later timestamp, or that came later.

        time: [us since 1970], greater than 0
        row: (columns,) little-endian float32
        returns: what became of it; "superseded" and "expired" were not kept
        """
        times = np.frombuffer(self.times, INSTANT)
        head = int(times.argmax())
        cadence = self.layout.cadence
        ahead = (time - self.newest + cadence // 2) // cadence if self.newest else self.layout.capacity
        if ahead > 0:
            self._advance(head, ahead, time)
            self._write((head + ahead) % self.layout.capacity, time, row)
            return "newest"
        # A timestamp that is known keeps its step, also when the grid has followed the sender meanwhile.
        known = np.flatnonzero(times == time)
        if not len(known) and -ahead >= self.layout.capacity:
            return "expired"
        slot = int(known[0]) if len(known) else (head + ahead) % self.layout.capacity
        if times[slot] > time:
            return "superseded"
        replaced = times[slot] != 0 and self._row(slot) != row
        self._write(slot, time, row)
        if slot == head:
            return "replaced" if replaced else "newest"
        return "late, replaced" if replaced else "late"

    def history(self) -> tuple[int, int]:
        """How many steps of a window there are, up to the newest, and how many of these were never recorded."""
        steps, capacity, gap = self.layout.steps, self.layout.capacity, self.layout.gap
        times = np.frombuffer(self.times, INSTANT)
        if times.all():
            return steps, 0
        recorded = np.flatnonzero(self._times_in_order())
        interruptions = np.flatnonzero(np.diff(recorded) > gap + 1)
        start = recorded[interruptions[-1] + 1] if len(interruptions) else recorded[0]
        have = min(steps, capacity - int(start))
        return have, have - int((recorded >= capacity - have).sum())

    def window(self) -> FloatArray:
        """The newest steps, oldest first, (steps, columns) float32: a copy."""
        return self._rows_in_order()[-self.layout.steps :]

    def converted(self, layout: Layout) -> "Ring":
        """What of this ring has a place in `layout`: columns of the same name and unit, the newest steps; else NaN."""
        fresh = Ring.empty(layout)
        if layout.cadence != self.layout.cadence:
            return fresh
        times, rows = self._times_in_order(), self._rows_in_order()
        kept = min(layout.capacity, self.layout.capacity)
        np.frombuffer(fresh.times, INSTANT)[-kept:] = times[-kept:]
        target = np.frombuffer(fresh.rows, VALUE).reshape(layout.capacity, -1)
        for place, column in enumerate(layout.columns):
            if column in self.layout.columns:
                target[-kept:, place] = rows[-kept:, self.layout.columns.index(column)]
        fresh.newest = self.newest
        return fresh

    def _advance(self, head: int, ahead: int, time: int) -> None:
        """Forget the steps that the next one takes the place of, and move the grid on to it."""
        cadence, capacity = self.layout.cadence, self.layout.capacity
        for skipped in range(1, min(ahead, capacity + 1)):
            self._write((head + skipped) % capacity, 0, self.layout.missing)
        previous = int(np.frombuffer(self.times, INSTANT)[head])
        self.newest = self.newest + ahead * cadence if ahead < capacity else time
        # A sender whose clock of samples drifts, or restarts at another second, must not end up between two steps,
        # where a little jitter lets its samples collide. One that sends more often than the cadence moves nothing.
        if 4 * abs(time - self.newest) > cadence and 4 * (time - previous) >= 3 * cadence:
            self.newest = time

    def _times_in_order(self) -> NDArray[np.int64]:
        times = np.frombuffer(self.times, INSTANT)
        return np.roll(times, -1 - int(times.argmax()))

    def _rows_in_order(self) -> FloatArray:
        """Oldest first, copied."""
        after = (int(np.frombuffer(self.times, INSTANT).argmax()) + 1) * len(self.layout.missing)
        values = np.frombuffer(self.rows[after:] + self.rows[:after], VALUE)
        return values.reshape(self.layout.capacity, -1).astype(np.float32, copy=False)

    def _row(self, slot: int) -> bytes:
        width = len(self.layout.missing)
        return bytes(self.rows[slot * width : (slot + 1) * width])

    def _write(self, slot: int, time: int, row: bytes) -> None:
        width = len(row)
        self.times[slot * 8 : slot * 8 + 8] = time.to_bytes(8, "little")
        self.rows[slot * width : (slot + 1) * width] = row
