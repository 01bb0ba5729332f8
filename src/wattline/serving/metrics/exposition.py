"""The text that a scrape of /metrics gets: of one process, or added up over all workers, without long gone versions."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from wattline.serving.metrics.families import FAMILIES, OTHER, PREFIX

OPENMETRICS = "application/openmetrics-text"
VERSIONS_KEPT = 4
"""Versions that answer no more whose series are still shown."""
VERSIONED = frozenset(
    PREFIX + family.name for family in FAMILIES if "version" in family.labels and family.name != "build_info"
)


def render(registry: CollectorRegistry, accept: str, *, shared: Path | None) -> tuple[bytes, str]:
    """Text and content type.

    accept: the scraper's Accept header: OpenMetrics where it says so, Prometheus' own format otherwise
    shared: where all workers keep their numbers; None: those of this process are in `registry`
    """
    if shared is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(shared))  # type: ignore[no-untyped-call]
    shown = CollectorRegistry()
    shown.register(_Shown(registry))
    # Never what the caller wrote: it would come back as a header.
    encoder, content_type = choose_encoder(OPENMETRICS if OPENMETRICS in accept else "")
    return encoder(shown), content_type


class _Shown(Collector):
    """What is in a registry, but of versions only those that answer, and the last ones that did."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        found = {metric.name: metric for metric in self._registry.collect()}
        if info := found.get(f"{PREFIX}model_info"):
            info.samples = [sample for sample in info.samples if sample.value]
        versions = _recent(found)
        for name, metric in found.items():
            if name in VERSIONED:
                metric.samples = [sample for sample in metric.samples if sample.labels["version"] in versions]
            yield metric


def _recent(found: dict[str, Metric]) -> set[str]:
    answering = found.get(f"{PREFIX}model_info")
    serving = {sample.labels["version"] for sample in answering.samples} if answering else set()
    loaded = found.get(f"{PREFIX}model_loaded_timestamp_seconds")
    times = {sample.labels["version"]: sample.value for sample in loaded.samples} if loaded else {}
    gone = sorted(times.keys() - serving, key=lambda version: (times[version], version))
    return serving | set(gone[-VERSIONS_KEPT:]) | {OTHER}
