"""What is asked of ExaMon's database."""

from collections.abc import Mapping

from pydantic import Field

from wattline.sources.examon.query import Aggregator, Asked
from wattline.sources.metrics import CINECA, Metric, Pattern, Text
from wattline.sources.span import SpanOptions


class ExamonMetric(Metric):
    """What becomes of a metric.

    metric: its name in the database; the key, where it is absent
    tags: values that are let through, by tag, e.g. {core: ["0"]}
    """

    metric: Text | None = None
    tags: Mapping[str, tuple[Text, ...]] = {}


class Options(SpanOptions):
    """Which database, and what of it. Credentials come from the environment.

    url: of KairosDB, e.g. http://examon.example:8083, or of the Grafana before it, e.g. https://examon.example:3000
    grafana_source: what Grafana calls the database; null where `url` is KairosDB's own
    metrics: what becomes of each metric
    cluster: tag `cluster` of the samples; any, where it is absent
    plugin: tag `plugin`, the collector; any, where it is null
    nodes: values of `unit_tag` that are wanted; all, where there is none
    tags: values of further tags that are let through, by tag
    unit_tag: tag whose value names the unit
    group_pattern: regular expression of a unit's name; its (group) names the rack
    nodes_per_rack: of nodes that are only numbers: rack k holds those from k times this on
    aggregator: what the database makes of the samples of each window; raw samples, where it is null
    time_zone: as the database wants it named; neither absolute times nor windows depend on it
    nodes_per_query: so many are asked for, and held in memory, at once
    maximum_samples: of each metric in one answer; a page that has more is asked for in halves
    minimum_rows: a unit with fewer is left out and counted; `ingest` needs 2, a snapshot keeps every row
    timeout_seconds: for one answer [s]
    password_in_the_open: whether credentials may be sent over http
    cadence_seconds: nominal distance of two samples [s]
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    url: Text
    grafana_source: Text | None = None
    metrics: Mapping[str, ExamonMetric] = Field(min_length=1)
    cluster: Text | None = None
    plugin: Text | None = "ipmi_pub"
    nodes: tuple[Text, ...] = ()
    tags: Mapping[str, tuple[Text, ...]] = {}
    unit_tag: Text = "node"
    group_pattern: Pattern | None = CINECA
    nodes_per_rack: int = Field(default=20, ge=1)
    aggregator: Aggregator | None = None
    time_zone: Text = "UTC"
    nodes_per_query: int = Field(default=50, ge=1)
    maximum_samples: int = Field(default=500_000, ge=2)
    minimum_rows: int = Field(default=2, ge=0)
    timeout_seconds: float = Field(default=120, gt=0)
    password_in_the_open: bool = False
    cadence_seconds: float = Field(default=20, gt=0)
    name: Text = "examon"
    licence: Text = "internal"
    citation: Text = "samples of our own monitoring"

    def asked(self) -> tuple[Asked, ...]:
        """The metrics in the order of `metrics`, each with all tags that are asked for."""
        common = {"cluster": (self.cluster,), "plugin": (self.plugin,)}
        shared = {tag: [value for value in values if value] for tag, values in common.items()}
        return tuple(
            Asked(
                found.metric or name,
                found.column or name,
                {tag: values for tag, values in (shared | dict(self.tags) | dict(found.tags)).items() if values},
            )
            for name, found in self.metrics.items()
        )

    @property
    def step(self) -> int:
        """Pages are cut at multiples of it [ms]: a window lies in one page."""
        return self.aggregator.milliseconds if self.aggregator else 1
