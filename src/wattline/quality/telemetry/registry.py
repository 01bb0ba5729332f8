"""Our own rules by name, checked and run like those of Great Expectations."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from wattline.errors import InputError
from wattline.params import Section, typed
from wattline.quality.telemetry import clocks, copies, measures, sensors, values
from wattline.quality.telemetry.rows import Mask, Rows
from wattline.task import Expectation

PREFIX = "wattline_"


class Rule(NamedTuple):
    """arguments: the type of its arguments, whose docstring says what it demands; offends: which rows do"""

    arguments: type[Section]
    offends: Callable[[Rows, Any], Mask]


RULES: Mapping[str, Rule] = {
    f"{PREFIX}finite": Rule(values.Finite, values.finite),
    f"{PREFIX}varies": Rule(values.Varies, values.varies),
    f"{PREFIX}stuck": Rule(sensors.Stuck, sensors.stuck),
    f"{PREFIX}dropout": Rule(sensors.Dropout, sensors.dropout),
    f"{PREFIX}counter": Rule(sensors.Counter, sensors.counter),
    f"{PREFIX}repeated_rows": Rule(copies.Repeated, copies.repeated),
    f"{PREFIX}copied_unit": Rule(copies.Copied, copies.copied),
    f"{PREFIX}unit_of_measure": Rule(measures.Measure, measures.measure),
    f"{PREFIX}explained": Rule(measures.Explained, measures.explained),
    f"{PREFIX}parts": Rule(measures.Parts, measures.parts),
    f"{PREFIX}gap": Rule(clocks.Gap, clocks.gap),
    f"{PREFIX}future": Rule(clocks.Future, clocks.future),
    f"{PREFIX}phase": Rule(clocks.Phase, clocks.phase),
    f"{PREFIX}lag": Rule(clocks.Lag, clocks.lag),
}
COLUMNS = ("column", "by", "whole", "parts")
"""Arguments that name columns."""


def built(expectation: Expectation) -> Section:
    """The arguments of one of our rules. Raises InputError for an unknown rule, and naming the first wrong argument."""
    rule = RULES.get(expectation.rule)
    if rule is None:
        raise InputError(f"{expectation.rule!r} is no rule of Wattline; it has {', '.join(RULES)}")
    return typed(rule.arguments, dict(expectation.arguments), where=expectation.rule)


def columns_of(expectation: Expectation) -> tuple[str, ...]:
    """Columns that it names; none when it is about the whole table."""
    return tuple(_columns(expectation.arguments))


def _columns(arguments: Mapping[str, Any]) -> Iterator[str]:
    for key in COLUMNS:
        named = arguments.get(key, ())
        yield from map(str, named) if isinstance(named, list | tuple) else [str(named)]


def prose(expectation: Expectation) -> str:
    """What it demands, for people."""
    demand = (inspect.getdoc(RULES[expectation.rule].arguments) or "").splitlines()[0]
    given = ", ".join(f"{key} {value}" for key, value in expectation.arguments.items() if key not in COLUMNS)
    return f"{demand} ({given})" if given else demand


def evaluate(rows: Rows, expectation: Expectation) -> Mask:
    """Which rows offend."""
    return RULES[expectation.rule].offends(rows, built(expectation))
