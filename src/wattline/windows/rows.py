"""Windows as rows: which columns they have, and when each one is known."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.records import Column
from wattline.task import FloatArray, Series
from wattline.windows.aggregate import Windows, aggregate

LABELS = ("avg", "std", "min", "max", "count")
"""What a window can say of a column, and how its column is called: `power` becomes `power_avg`."""
FIELDS = {"avg": "mean", "std": "std", "min": "minimum", "max": "maximum", "count": "samples"}
MAXIMUM_WINDOWS_PER_ROW = 20
"""With more, on average, the window is shorter than the distance of samples: nearly all of them would be empty."""


def columns_of(columns: Sequence[Column], statistics: Sequence[str]) -> tuple[Column, ...]:
    """The columns of windows, column by column in the order of `statistics`."""
    return tuple(
        Column(
            name=f"{column.name}_{label}",
            unit="1" if label == "count" else column.unit,
            description=f"{label} of a window; {column.description}" if column.description else f"{label} of a window",
        )
        for column in columns
        for label in statistics
    )


def rows_of(windows: Windows, statistics: Sequence[str]) -> FloatArray:
    """(windows, columns * statistics) float32. A window without any sample is a row that was never recorded: NaN."""
    parts = np.stack([getattr(windows, FIELDS[label]) for label in statistics], axis=2).astype(np.float32)
    parts[windows.samples.sum(axis=1) == 0] = np.nan
    return parts.reshape(len(parts), -1)


def windowed(series: Series, *, seconds: float, statistics: Sequence[str]) -> Series:
    """Rows of one unit as windows whose edges are multiples of their length since 1970, the same for every unit.

    A row's timestamp is the END of its window: by then all of it is known, and nothing of what comes after. Its target
    is the largest one of the window, NaN where none is known.
    Raises InputError when windows are so short that they would be empty.
    """
    return windowed_pieces([series], seconds=seconds, statistics=statistics)


def windowed_pieces(pieces: Iterable[Series], *, seconds: float, statistics: Sequence[str]) -> Series:
    """The same of a unit that comes piece by piece, in time order, and is never in memory as a whole.

    What comes out does not depend on where the pieces are cut: samples of an open window wait for the next one.
    """
    window = round(seconds * 1e9)
    done: list[Series] = []
    rest: Series | None = None
    seen = 0
    for piece in pieces:
        seen += len(piece.timestamps)
        held = piece if rest is None else _joined(rest, piece)
        edge = int(held.timestamps[-1].astype(np.int64)) // window * window
        place = int(np.searchsorted(held.timestamps.astype(np.int64), edge))
        if place:
            done.append(_complete(held.chosen(slice(0, place)), window, statistics))
        rest = held.chosen(slice(place, None))
    assert rest is not None  # a unit has at least two rows
    done.append(_complete(rest, window, statistics))
    return _on_axis(done, window, seen)


def _complete(series: Series, window: int, statistics: Sequence[str]) -> Series:
    """Windows that have samples, of rows whose windows are complete."""
    instants = series.timestamps.astype(np.int64)
    slots = instants // window
    # An outage of years between two pieces must not become an array of years.
    first, kept = _dense(slots)
    found = aggregate(kept, series.values, first=0, window=1, count=len(first))
    target = aggregate(kept, series.target[:, None], first=0, window=1, count=len(first)).maximum[:, 0]
    ends = ((first + 1) * window).astype("datetime64[ns]")
    return Series(series.unit, series.group, ends, rows_of(found, statistics), target)


def _dense(slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The slots that occur, and for each row which of them it is in."""
    begins = np.append(True, slots[1:] != slots[:-1])
    return slots[begins], np.cumsum(begins) - 1


def _on_axis(done: list[Series], window: int, seen: int) -> Series:
    """All windows from the first to the last one; those without a sample are rows that were never recorded."""
    ends = np.concatenate([part.timestamps for part in done]).astype(np.int64)
    count = int((ends[-1] - ends[0]) // window) + 1
    unit, group = done[0].unit, done[0].group
    if count > MAXIMUM_WINDOWS_PER_ROW * seen:
        raise InputError(
            f"unit {unit}: {seen} rows lie in {count} windows of {window / 1e9:g} s; raise prepare.windows.seconds to "
            "several times the distance of two samples"
        )
    values = np.full((count, done[0].values.shape[1]), np.nan, dtype=np.float32)
    target = np.full(count, np.nan)
    place = (ends - ends[0]) // window
    values[place] = np.concatenate([part.values for part in done])
    target[place] = np.concatenate([part.target for part in done])
    timestamps = (ends[0] + np.arange(count, dtype=np.int64) * window).astype("datetime64[ns]")
    return Series(unit, group, timestamps, values, target)


def _joined(earlier: Series, later: Series) -> Series:
    return Series(
        later.unit,
        later.group,
        np.concatenate([earlier.timestamps, later.timestamps]),
        np.concatenate([earlier.values, later.values]),
        np.concatenate([earlier.target, later.target]),
    )
