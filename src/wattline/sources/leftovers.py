"""Units as they are handed on: samples that were not taken are told, also those of no unit, or of one left out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from wattline.errors import InputError
from wattline.sources.channels import Channel, joined
from wattline.sources.source import NoSamplesError, UnitSeries
from wattline.task import Series

FEW_ROWS = "a unit with fewer rows than minimum_rows"


def rows(
    unit: str,
    group: str,
    columns: Sequence[str],
    pieces: Mapping[str, Sequence[Channel]],
    *,
    refused: Counter[str],
    minimum_rows: int,
    left_over: Counter[str],
) -> UnitSeries | None:
    """Rows of one unit out of pieces of its channels; None where there are fewer than `minimum_rows`.

    refused: its samples that were not taken; they go with it, or else into `left_over`
    A minimum of 0 gives also a unit that has no row and was refused samples, so that a snapshot counts them.
    """
    channels = {
        column: (np.concatenate([piece[0] for piece in found]), np.concatenate([piece[1] for piece in found]))
        for column, found in pieces.items()
    }
    series = joined(unit, group, columns, channels)
    if series is None and not minimum_rows and refused:
        series = _empty(unit, group, columns)
    if series is not None and len(series.series.timestamps) >= minimum_rows:
        return replace(series, quarantined=dict(refused))
    left_over.update(refused)
    if series is not None:
        left_over[FEW_ROWS] += 1
    return None


def _empty(unit: str, group: str, columns: Sequence[str]) -> UnitSeries:
    values = np.zeros((0, len(columns)), dtype=np.float32)
    return UnitSeries(Series(unit, group, np.zeros(0, "datetime64[ns]"), values, np.zeros(0)), tuple(columns))


def handed_on(units: Iterable[UnitSeries], left_over: Counter[str], *, asked: str, remedy: str) -> Iterator[UnitSeries]:
    """The same units; the last one tells what is in `left_over` by then.

    asked: what was asked of whom, after which "has no sample" or "has no usable sample" reads well, and a `remedy`
    Raises NoSamplesError when there is no unit; InputError when there is none because nothing could be taken: that
    is no empty answer.
    """
    held: UnitSeries | None = None
    for unit in units:
        if held is not None:
            yield held
        held = unit
    if held is not None:
        yield replace(held, quarantined=dict(Counter(held.quarantined) + left_over))
        return
    wrong = Counter({reason: count for reason, count in left_over.items() if reason != FEW_ROWS and count})
    if wrong:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in wrong.most_common(3))
        raise InputError(f"{asked} has no usable sample; not taken were {reasons}; repair them at their home")
    found = f"only {left_over[FEW_ROWS]} times {FEW_ROWS}" if left_over[FEW_ROWS] else "no sample"
    raise NoSamplesError(f"{asked} has {found}; {remedy}")
