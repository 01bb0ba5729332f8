"""Metrics of a monitoring system by their name there, and the columns that they become."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from wattline.errors import InputError
from wattline.params import Section
from wattline.records import Column

Text = Annotated[str, Field(min_length=1)]


class Metric(Section):
    """What becomes of a metric.

    column: its name here; that of the metric, where it is absent
    unit: of its values ("W", "degC", "%", "1" for a ratio or a count); they are not converted
    description: for the dataset's card
    """

    column: Text | None = None
    unit: Text
    description: str = ""


def _is_a_pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"must have one (group), which names the rack; it has {groups}")
    return text


Pattern = Annotated[str, AfterValidator(_is_a_pattern)]
"""A regular expression that matches a whole name of a unit; its one group is the group that the unit belongs to."""
CINECA = r"(r\d+)n\d+"
"""Marconi100's and Leonardo's names: node n01 of rack r205 is r205n01."""


def columns(metrics: Mapping[str, Metric]) -> tuple[Column, ...]:
    """The columns in the order of `metrics`. Raises InputError for a column that two of them would fill."""
    found = tuple(
        Column(name=metric.column or name, unit=metric.unit, description=metric.description)
        for name, metric in metrics.items()
    )
    names = [column.name for column in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"`metrics` makes column {twice[0]!r} of more than one metric; give each its own `column`")
    return found


def group_of(unit: str, pattern: str | None) -> str:
    """What `unit` shares a fate with: a group of its own, where its name does not match."""
    found = re.fullmatch(pattern, unit) if pattern else None
    return found.group(1) or unit if found else unit


def unit_of(node: str) -> str:
    """What a node is called here: one that has only a number gets a name."""
    return f"node-{int(node):04d}" if node.isdecimal() and node.isascii() else node


def rack_of(node: str, *, nodes_per_rack: int, pattern: str | None) -> str:
    """The group of a node: racks hold neighbouring numbers, as Marconi100's do, or else its name tells."""
    if node.isdecimal() and node.isascii():
        return f"rack-{int(node) // nodes_per_rack:02d}"
    return group_of(node, pattern)
