"""What is asked of Prometheus."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from wattline.sources.metrics import CINECA, Metric, Pattern, Text
from wattline.sources.prometheus.presets import PRESETS
from wattline.sources.span import SpanOptions

WITHOUT_PORT = r"(.+?)(?::\d+)?"


class PrometheusMetric(Metric):
    """What becomes of an expression.

    query: PromQL that gives one series for each unit; the key, where it is absent. `$unit` stands for `unit_label`,
        `$window` for `window_seconds`
    """

    query: Text | None = None


class Options(SpanOptions):
    """Which Prometheus, and what of it. Credentials come from the environment.

    url: of Prometheus, e.g. https://prometheus.example:9090
    presets: exporters whose common names become columns; see docs/connectors.md
    without: columns of the presets that are left out
    metrics: what becomes of each expression; one with the name of a preset's column replaces it
    unit_label: label whose value names the unit
    unit_pattern: regular expression of that value; its (group) is the unit
    group_label: label that names the rack; where it is null, `group_pattern` tells
    group_pattern: regular expression of a unit's name; its (group) names the rack
    window_seconds: over which rates are taken [s]; four times the cadence, where it is null
    cadence_seconds: distance of two rows, which lie at its multiples since 1970 [s]
    samples_per_query: so many are asked for at once, as far as that can be told beforehand
    maximum_samples: of all units and columns that are held in memory, 16 bytes each
    minimum_rows: a unit with fewer is left out and counted; `ingest` needs 2, a snapshot keeps every row
    accept_warnings: whether an answer counts that its sender says may be incomplete
    timeout_seconds: for one answer [s]
    password_in_the_open: whether credentials may be sent over http
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    url: Text
    presets: tuple[Literal["node_exporter", "ipmi_exporter"], ...] = ()
    without: tuple[Text, ...] = ()
    metrics: Mapping[str, PrometheusMetric] = {}
    unit_label: Text = "instance"
    unit_pattern: Pattern = WITHOUT_PORT
    group_label: Text | None = None
    group_pattern: Pattern | None = CINECA
    window_seconds: float | None = Field(default=None, gt=0)
    cadence_seconds: float = Field(default=60, ge=0.001)
    samples_per_query: int = Field(default=500_000, ge=1)
    maximum_samples: int = Field(default=20_000_000, ge=1)
    minimum_rows: int = Field(default=2, ge=0)
    accept_warnings: bool = False
    timeout_seconds: float = Field(default=120, gt=0)
    password_in_the_open: bool = False
    name: Text = "prometheus"
    licence: Text = "internal"
    citation: Text = "samples of our own monitoring"

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        unknown = set(self.without) - {column for preset in self.presets for column in PRESETS[preset]}
        if unknown:
            raise ValueError(f"without names {min(unknown)!r}, which is no column of a preset that is asked for")
        if not self.expressions():
            raise ValueError("give `metrics`, or some of the `presets`")
        if re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", self.unit_label) is None:
            raise ValueError(f"unit_label is {self.unit_label!r}, which is no name of a label")
        return self

    def expressions(self) -> dict[str, PrometheusMetric]:
        """What is asked for, by name: columns of the presets, then those of `metrics`."""
        found = {
            column: PrometheusMetric(unit=expression.unit, description=expression.description, query=expression.query)
            for preset in self.presets
            for column, expression in PRESETS[preset].items()
            if column not in self.without
        }
        return found | dict(self.metrics)

    def queries(self) -> dict[str, str]:
        """PromQL by column."""
        window = f"{round((self.window_seconds or 4 * self.cadence_seconds) * 1000)}ms"
        return {
            metric.column or name: (metric.query or name).replace("$unit", self.unit_label).replace("$window", window)
            for name, metric in self.expressions().items()
        }

    @property
    def step(self) -> int:
        """Distance of two rows [ms]."""
        return round(self.cadence_seconds * 1000)
