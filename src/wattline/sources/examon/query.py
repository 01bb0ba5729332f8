"""Queries to KairosDB, byte for byte as ExaMon's clients write them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator

from wattline.params import Section

UNITS = {"seconds": 1_000, "minutes": 60_000}
HOUR = 3_600_000


class Aggregator(Section):
    """What the database makes of the samples of each window, before it sends them.

    name: one of KairosDB's, "avg", "min", "max", "sum", "dev", "count", "first" or "last"
    value, unit: length of a window; it must divide an hour
    """

    name: Literal["avg", "min", "max", "sum", "dev", "count", "first", "last"] = "avg"
    value: int = Field(ge=1)
    unit: Literal["seconds", "minutes"] = "minutes"

    @field_validator("unit")
    @classmethod
    def _divides_an_hour(cls, unit: str, info: Any) -> str:
        # KairosDB aligns windows at the top of the hour: only those that divide it are the same for every page.
        if HOUR % (info.data.get("value", 1) * UNITS[unit]):
            raise ValueError(f"must divide an hour together with value {info.data['value']}")
        return unit

    @property
    def milliseconds(self) -> int:
        return self.value * UNITS[self.unit]


class Asked(NamedTuple):
    """A metric that is asked for.

    name: in the database
    column: that it becomes
    tags: values that are let through, by tag
    """

    name: str
    column: str
    tags: Mapping[str, Sequence[str]]


class Page(NamedTuple):
    """From `start` until before `end`, both in milliseconds since 1970."""

    start: int
    end: int

    def halves(self, step: int) -> "tuple[Page, Page] | None":
        """Two pages that are this one, cut at a multiple of `step`; None where there is no such cut."""
        cut = (self.start + self.end) // 2 // step * step
        return (Page(self.start, cut), Page(cut, self.end)) if self.start < cut < self.end else None


def points(
    page: Page,
    metrics: Sequence[Asked],
    *,
    time_zone: str,
    unit_tag: str,
    units: Sequence[str],
    aggregator: Aggregator | None,
    limit: int,
) -> bytes:
    """Body for `datapoints/query`: samples of `units`, one group for each.

    limit: of samples that are read for each metric
    """
    return _body(
        page,
        time_zone,
        [
            {
                "name": metric.name,
                "tags": {**_tags(metric, unit_tag), unit_tag: list(units)},
                "group_by": [{"name": "tag", "tags": [unit_tag]}],
                **({"aggregators": [_aggregator(aggregator)]} if aggregator else {}),
                "limit": limit,
            }
            for metric in metrics
        ],
    )


def tags(page: Page, metrics: Sequence[Asked], *, time_zone: str, unit_tag: str, units: Sequence[str]) -> bytes:
    """Body for `datapoints/query/tags`: which tags the samples have. units: those that are wanted; all, where empty."""
    return _body(
        page,
        time_zone,
        [
            {"name": metric.name, "tags": {**_tags(metric, unit_tag), **({unit_tag: list(units)} if units else {})}}
            for metric in metrics
        ],
    )


def _body(page: Page, time_zone: str, metrics: Sequence[Mapping[str, Any]]) -> bytes:
    tree = {
        "cache_time": 0,
        "time_zone": time_zone,
        "start_absolute": page.start,
        # KairosDB includes the end.
        "end_absolute": page.end - 1,
        "metrics": metrics,
    }
    return json.dumps(tree, separators=(",", ":")).encode()


def _tags(metric: Asked, unit_tag: str) -> dict[str, list[str]]:
    return {name: list(values) for name, values in metric.tags.items() if name != unit_tag}


def _aggregator(aggregator: Aggregator) -> Mapping[str, Any]:
    return {
        "name": aggregator.name,
        "align_sampling": True,
        "align_start_time": False,
        "sampling": {"value": aggregator.value, "unit": aggregator.unit},
    }
