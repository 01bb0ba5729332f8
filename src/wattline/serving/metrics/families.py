"""Every metric of the server: its name, type, labels, unit and meaning. docs/metrics.md says the same."""

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from wattline.serving.metrics.tally import BulkHistogram

PREFIX = "wattline_"
OTHER = "other"
"""Label of whatever has no series of its own."""
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHORT_SECONDS = (0.00005, 0.0001, 0.00025, *SECONDS)
LOAD_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)
WINDOWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)
SCORES = tuple(step * 10.0**power for power in range(-3, 4) for step in (1.0, 2.0, 5.0))
"""A score may be a deviation near 1 as well as watts: 1, 2, 5 in every power of ten."""


@dataclass(frozen=True)
class Family:
    """One metric.

    name: without the prefix, and without the suffixes that Prometheus gives to the series of its type
    unit: of the value; "1" for counts and for what has none
    workers: of a gauge: whether those of all living workers are added up, or the largest one counts
    buckets: upper bounds of a histogram, in its unit
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    unit: str
    meaning: str
    workers: Literal["livesum", "livemax", "max"] = "livesum"
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """As it is called in the text that is scraped."""
        return f"{PREFIX}{self.name}" + ("_total" if self.kind == "counter" else "")

    def metric(self, registry: CollectorRegistry) -> Counter | Gauge | BulkHistogram:
        """Make it."""
        name, text = f"{PREFIX}{self.name}", self.meaning
        if self.kind == "counter":
            return Counter(name, text, self.labels, registry=registry)
        if self.kind == "gauge":
            return Gauge(name, text, self.labels, registry=registry, multiprocess_mode=self.workers)
        return BulkHistogram(name, text, self.labels, registry=registry, buckets=self.buckets)


VERSION = ("version", "role")
FAMILIES = (
    Family("requests", "counter", ("route", "method", "code"), "1", "Requests by what they were answered."),
    Family(
        "request_seconds", "histogram", ("route",), "s", "Time from the end of the body to the reply.", buckets=SECONDS
    ),
    Family("requests_in_flight", "gauge", (), "1", "Requests that are being answered."),
    Family("connections", "gauge", (), "1", "Open connections."),
    Family("rejections", "counter", ("reason",), "1", "Requests refused for who asks, or for want of room or time."),
    Family("validation_failures", "counter", ("reason",), "1", "Requests refused for what is in them."),
    Family("queue_windows", "gauge", (), "windows", "Windows that wait or run."),
    Family("queue_seconds", "histogram", (), "s", "Time that requests were in the queue.", buckets=SHORT_SECONDS),
    Family("batch_windows", "histogram", (), "windows", "Windows in one run of the graph.", buckets=WINDOWS),
    Family("inference_seconds", "histogram", VERSION, "s", "Time of one run of the graph.", buckets=SHORT_SECONDS),
    Family("answers", "counter", (*VERSION, "outcome"), "windows", "Windows by what became of them."),
    Family("alarms", "counter", VERSION, "windows", "Windows whose score is above the threshold."),
    Family("score", "histogram", VERSION, "the model's", "Finite scores.", buckets=SCORES),
    Family("model_info", "gauge", ("name", "version", "digest", "role"), "1", "1 for what answers.", workers="livemax"),
    Family("model_loaded_timestamp_seconds", "gauge", ("version",), "s", "Unix time of the last load.", workers="max"),
    Family("model_loads", "counter", ("role",), "1", "Versions put into service."),
    Family(
        "model_load_seconds", "histogram", (), "s", "Time to fetch, verify, load and warm up.", buckets=LOAD_SECONDS
    ),
    Family("model_load_failures", "counter", ("reason",), "1", "Versions that were not loaded."),
    Family("swaps", "counter", ("role",), "1", "Versions replaced, or taken out of service."),
    Family("rollbacks", "counter", ("reason",), "1", "Challengers taken back, for doing worse."),
    Family("canary_percent", "gauge", (), "%", "Share of requests that a challenger gets.", workers="livemax"),
    Family("predictions_logged", "counter", (), "1", "Answers that are in a file of the log."),
    Family("predictions_dropped", "counter", (), "1", "Answers that the log could not take, or lost."),
    Family("feedback", "counter", (), "1", "Items of feedback accepted."),
    Family("energy_joules", "counter", ("provenance", "sensor"), "J", "Energy of the server since its start."),
    Family("inference_energy_joules", "counter", ("provenance",), "J", "Energy of running graphs."),
    Family("cpu_seconds", "counter", (), "s", "CPU time of the server since its start."),
    Family("build_info", "gauge", ("version",), "1", "1 for the version of Wattline.", workers="livemax"),
)
