"""What is counted about the versions that answer."""

import re
import time
from collections import Counter as Counts
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, disable_created_metrics, values

from wattline.serving.metrics.exposition import VERSIONED, VERSIONS_KEPT
from wattline.serving.metrics.families import FAMILIES, OTHER, PREFIX
from wattline.serving.metrics.tally import Tally
from wattline.settings import settings

REASON = re.compile(r"[a-z][a-z0-9_-]{0,30}")
MOST_REASONS = 64
FEW = 8
"""So many observations are added one by one; more are cheaper with numpy."""
BOUNDS = {family.name: family.buckets for family in FAMILIES}


class _Version:
    """Answers of one version in one role since the last flush."""

    __slots__ = ("alarms", "outcomes", "run", "score")

    def __init__(self, run: Tally, score: Tally) -> None:
        self.outcomes: Counts[str] = Counts()
        self.alarms = 0
        self.run, self.score = run, score


class ModelMetrics:
    """The numbers of versions: those that answer, and the last few that did.

    registry: holds every metric of the process
    shared: where all workers keep their numbers; None for a single one
    graph_cpu_seconds: CPU time of the threads that ran graphs [s]
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.shared: Path | None = settings().metrics_folder if _is_shared() else None
        self.registry = CollectorRegistry()
        self._families: dict[str, Any] = {family.name: family.metric(self.registry) for family in FAMILIES}
        self._batch = self._tally("batch_windows")
        self._versions: dict[tuple[str, str], _Version] = {}
        self._serving: Counts[str] = Counts()
        self._gone: dict[str, None] = {}
        self._reasons: set[str] = set()
        self.graph_cpu_seconds = 0.0

    def ran(self, version: str, role: str, windows: int, seconds: float) -> None:
        """Count one run of a graph."""
        self._batch.observe(windows)
        slot = self._versions.get((version, role)) or self._version(version, role)
        slot.run.observe(seconds)

    def spent(self, cpu_seconds: float) -> None:
        """Count the CPU time of one run of a graph [s]."""
        self.graph_cpu_seconds += cpu_seconds

    def answered(self, version: str, role: str, scores: Sequence[float], limits: Sequence[float] | None) -> None:
        """Count the windows of one request.

        scores, limits: NaN where undefined; limits: thresholds, None where the graph has none
        """
        slot = self._versions.get((version, role)) or self._version(version, role)
        # Neither NaN nor an infinity is 0 when it is taken away from itself.
        finite = [score for score in scores if score - score == 0]
        if len(finite) > FEW:
            slot.score.observe_all(finite)
        else:
            for score in finite:
                slot.score.observe(score)
        slot.outcomes["answered"] += len(finite)
        if len(finite) < len(scores):
            slot.outcomes["undefined"] += len(scores) - len(finite)
        if limits is not None:
            slot.alarms += sum(map(float.__gt__, scores, limits))

    def unanswered(self, version: str, role: str, reason: str) -> None:
        """Count a question that a version gave no answer to."""
        slot = self._versions.get((version, role)) or self._version(version, role)
        slot.outcomes[self._reason(reason)] += 1

    def loaded(self, name: str, version: str, digest: str, role: str, seconds: float) -> None:
        """Note that a version answers from now on, and how long it took to get it there [s]."""
        self._serving[version] += 1
        self._gone.pop(version, None)
        self._families["model_loads"].labels(role).inc()
        self._families["model_load_seconds"].observe(seconds)
        self._families["model_loaded_timestamp_seconds"].labels(version).set(time.time())
        self._families["model_info"].labels(name, version, digest, role).set(1)

    def load_failed(self, reason: str) -> None:
        """Count a version that was not loaded."""
        self._families["model_load_failures"].labels(self._reason(reason)).inc()

    def relabelled(self, name: str, version: str, digest: str, *, former: str, role: str) -> None:
        """Note that what answered as `former` does so as `role` from now on."""
        self._families["model_info"].labels(name, version, digest, former).set(0)
        self._families["model_info"].labels(name, version, digest, role).set(1)

    def swapped(self, name: str, version: str, digest: str, role: str) -> None:
        """Note that a version answers no more. The series of those that are long gone are removed."""
        self._families["swaps"].labels(role).inc()
        self._families["model_info"].labels(name, version, digest, role).set(0)
        self._serving[version] -= 1
        if self._serving[version] <= 0:
            del self._serving[version]
            self._gone[version] = None
        while len(self._gone) > VERSIONS_KEPT:
            self._forget(next(iter(self._gone)))

    def rolled_back(self, reason: str) -> None:
        """Count a challenger that was taken back."""
        self._families["rollbacks"].labels(self._reason(reason)).inc()

    def canary_percent(self, percent: float) -> None:
        """Note which share of requests a challenger gets [%]."""
        self._families["canary_percent"].set(percent)

    def flush(self) -> None:
        """Hand over to the registry, and so to the other workers, what was only added up so far."""
        self._batch.flush()
        for labels, slot in self._versions.items():
            slot.run.flush()
            slot.score.flush()
            for outcome, count in slot.outcomes.items():
                self._families["answers"].labels(*labels, outcome).inc(count)
            self._families["alarms"].labels(*labels).inc(slot.alarms)
            slot.outcomes.clear()
            slot.alarms = 0

    def _tally(self, name: str, *labels: str) -> Tally:
        family = self._families[name]
        return Tally(family.labels(*labels) if labels else family, BOUNDS[name])

    def _version(self, version: str, role: str) -> _Version:
        known = version if version in self._serving or version in self._gone else OTHER
        slot = self._versions.get((known, role))
        if slot is None:
            run, score = self._tally("inference_seconds", known, role), self._tally("score", known, role)
            slot = self._versions[(known, role)] = _Version(run, score)
        return slot

    def _forget(self, version: str) -> None:
        del self._gone[version]
        for labels in [labels for labels in self._versions if labels[0] == version]:
            del self._versions[labels]
        # Files that workers share only grow; what is in them of such a version is not shown.
        if self.shared is None:
            for name in VERSIONED:
                self._families[name.removeprefix(PREFIX)].remove_by_labels({"version": version})

    def _reason(self, reason: str) -> str:
        if reason not in self._reasons:
            if len(self._reasons) >= MOST_REASONS or not REASON.fullmatch(reason):
                return OTHER
            self._reasons.add(reason)
        return reason


def _is_shared() -> bool:
    """Whether prometheus_client found PROMETHEUS_MULTIPROC_DIR when it was imported; later it does not look."""
    return values.ValueClass is not values.MutexValue
