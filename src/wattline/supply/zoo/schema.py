"""The feature schema of a version: well formed, and what changed since the version before."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from wattline.supply.zoo.entry import Entry, Features, newest_first
from wattline.supply.zoo.problems import Problem

REMEDY = "register a candidate whose signature.json is right, and delete this version"


def malformed(entry: Entry) -> Iterator[Problem]:
    """A problem for each name that is not unique and each column without a unit."""
    names = Counter(column.name for column in entry.features.columns)
    if not names:
        yield Problem(entry=entry.label, field="features.columns", text="is empty", remedy=REMEDY)
    for name, count in names.items():
        if count > 1:
            text = f"holds {name!r} {count} times, a name stands for one column"
            yield Problem(entry=entry.label, field="features.columns", text=text, remedy=REMEDY)
    for column in entry.features.columns:
        if not column.unit.strip():
            field = f"features.columns.{column.name}.unit"
            text = 'is empty; a ratio or a count has the unit "1"'
            yield Problem(entry=entry.label, field=field, text=text, remedy=REMEDY)


def changes(entries: Sequence[Entry]) -> Iterator[Problem]:
    """A note for each version that reads other features than the one before it: its clients must change with it."""
    for _, versions in groupby(newest_first(entries), key=lambda entry: entry.name):
        ordered = list(versions)
        for newer, older in pairwise(ordered):
            found = change(newer.features, older.features)
            if found:
                text = f"differ from those of version {older.version}: {found}"
                remedy = "let its clients send these before it is promoted"
                yield Problem(entry=newer.label, field="features", text=text, remedy=remedy, note=True)


def change(newer: Features, older: Features) -> str:
    """What a client must do otherwise, in a few words; nothing when that is nothing."""
    new, old = _names(newer), _names(older)
    added, gone = [name for name in new if name not in old], [name for name in old if name not in new]
    words = [f"{what} {', '.join(names)}" for what, names in (("with", added), ("without", gone)) if names]
    if new != old and not words:
        words.append("columns in another order")
    if newer.steps != older.steps:
        words.append(f"{newer.steps} rows of history instead of {older.steps}")
    if newer.cadence_seconds != older.cadence_seconds:
        words.append(f"one row every {newer.cadence_seconds:g} s instead of {older.cadence_seconds:g} s")
    return "; ".join(words)


def _names(features: Features) -> list[str]:
    return [f"{column.name} [{column.unit}]" for column in features.columns]
