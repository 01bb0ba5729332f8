"""Samples that were not taken and belong to no unit that is handed on: they are told all the same."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from wattline.errors import InputError
from wattline.sources.source import NoSamplesError, UnitSeries

FEW_ROWS = "a unit with fewer rows than minimum_rows"


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
