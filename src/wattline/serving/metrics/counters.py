"""What the server counts; docs/metrics.md lists every name."""

import time
from collections import Counter as Counts
from collections.abc import Iterable
from typing import Protocol

from prometheus_client import ProcessCollector

import wattline
from wattline.serving.metrics.exposition import render
from wattline.serving.metrics.families import OTHER
from wattline.serving.metrics.tally import Tally
from wattline.serving.metrics.versions import ModelMetrics

MODEL = "/v2/models/{name}"
ROUTES = (
    "/predict", "/predict/batch", "/observe", "/feedback", "/livez", "/readyz", "/model", "/metrics", "/admin/reload",
    "/admin/canary", "/v2", "/v2/health/live", "/v2/health/ready", MODEL, f"{MODEL}/ready", f"{MODEL}/infer",
    f"{MODEL}/versions/{{version}}", f"{MODEL}/versions/{{version}}/ready", f"{MODEL}/versions/{{version}}/infer",
)  # fmt: skip
"""Templates of paths. Whatever else is asked counts as "other": no caller's text makes a series."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
VALIDATION = frozenset({"malformed", "encoding", "content-type", "http", "size", "method", "model", "path"})
"""Reasons that lie in the request itself; all others lie in who asks, or in how much there is to do."""
SENSOR = "CPU time x watts per core"
SECONDS_BETWEEN_FLUSHES = 0.5


class Finish(Protocol):
    """Called once, at the end of a request.

    code: HTTP status; seconds: from the end of the body to the reply; reason: of a refusal
    """

    def __call__(self, code: int, seconds: float, reason: str = "", /) -> None: ...


class _Route:
    """Requests of one route and method since the last flush."""

    __slots__ = ("codes", "seconds")

    def __init__(self, seconds: Tally) -> None:
        self.codes: Counts[int] = Counts()
        self.seconds = seconds


class Metrics(ModelMetrics):
    """The numbers of one process; `render` adds up those of all workers where PROMETHEUS_MULTIPROC_DIR is set.

    What every request calls adds to numbers in memory, in less than a microsecond; they reach the registry, and the
    other workers, with `flush`. Everything but `logged` and `dropped` belongs to the event loop's thread.
    """

    def __init__(self, *, routes: Iterable[str] = ROUTES, sensor: str = SENSOR) -> None:
        """routes: the templates that have series of their own; sensor: what the joules are estimated from"""
        super().__init__()
        if self.shared is None:
            ProcessCollector(registry=self.registry)
        self._templates = frozenset(routes)
        self._routes: dict[tuple[str, str], _Route] = {}
        self._queue = self._tally("queue_seconds")
        self._in_flight = self._queue_windows = self._connections = 0
        self._energy = self._families["energy_joules"].labels("estimated", sensor)
        self._inference_energy = self._families["inference_energy_joules"].labels("estimated")
        self._joules = self._joules_counted = self._cpu_counted = 0.0
        self._inference_joules = self._inference_counted = 0.0
        self._flushed = time.monotonic()
        self._families["build_info"].labels(wattline.__version__).set(1)

    def began(self, route: str, method: str) -> Finish:
        """Count a request as under way. Returns what is to be called at its end.

        route: the template of its path; method: any text
        """
        self._in_flight += 1
        slot = self._routes.get((route, method)) or self._route(route, method)

        def finish(code: int, seconds: float, reason: str = "", /) -> None:
            self._in_flight -= 1
            slot.codes[code] += 1
            slot.seconds.observe(seconds)
            if reason:
                self.rejected(reason)

        return finish

    def rejected(self, reason: str) -> None:
        """Count a refusal."""
        family = "validation_failures" if reason in VALIDATION else "rejections"
        self._families[family].labels(self._reason(reason)).inc()

    def waited(self, seconds: float) -> None:
        """Count how long a request was in the queue."""
        self._queue.observe(seconds)

    def logged(self, answers: int) -> None:
        """Count answers that are in a file now. May be called from any thread."""
        self._families["predictions_logged"].inc(answers)

    def dropped(self, answers: int) -> None:
        """Count answers that the log lost. May be called from any thread."""
        self._families["predictions_dropped"].inc(answers)

    def feedback(self, items: int) -> None:
        """Count accepted feedback."""
        self._families["feedback"].inc(items)

    def energy(self, joules: float, *, inference: float = 0.0) -> None:
        """Note the energy of this process since its start, and of it that of running graphs [J]."""
        self._joules = max(self._joules, joules)
        self._inference_joules = max(self._inference_joules, inference)

    def state(self, *, queue_windows: int, connections: int, joules: float, inference_joules: float = 0.0) -> None:
        """Note what stands where. Called many times a second, it also keeps the other workers up to date.

        joules: energy of this process since its start [J]
        inference_joules: of it, that of running graphs [J]
        """
        self._queue_windows, self._connections = queue_windows, connections
        self.energy(joules, inference=inference_joules)
        if self.shared is not None and time.monotonic() - self._flushed > SECONDS_BETWEEN_FLUSHES:
            self.flush()

    def flush(self) -> None:
        """Hand over to the registry, and so to the other workers, what was only added up so far."""
        super().flush()
        self._flushed = time.monotonic()
        self._queue.flush()
        for labels, slot in self._routes.items():
            slot.seconds.flush()
            for code, count in slot.codes.items():
                self._families["requests"].labels(*labels, code).inc(count)
            slot.codes.clear()
        self._families["requests_in_flight"].set(self._in_flight)
        self._families["queue_windows"].set(self._queue_windows)
        self._families["connections"].set(self._connections)
        self._energy.inc(self._joules - self._joules_counted)
        self._joules_counted = self._joules
        self._inference_energy.inc(self._inference_joules - self._inference_counted)
        self._inference_counted = self._inference_joules
        seconds = time.process_time()
        self._families["cpu_seconds"].inc(seconds - self._cpu_counted)
        self._cpu_counted = seconds

    def render(self, accept: str) -> tuple[bytes, str]:
        """The text that a scrape gets, and its content type.

        accept: the scraper's Accept header, which may ask for OpenMetrics
        """
        self.flush()
        return render(self.registry, accept, shared=self.shared)

    def _route(self, route: str, method: str) -> _Route:
        known = (route if route in self._templates else OTHER, method if method in METHODS else OTHER)
        slot = self._routes.get(known)
        if slot is None:
            slot = self._routes[known] = _Route(self._tally("request_seconds", known[0]))
        return slot
