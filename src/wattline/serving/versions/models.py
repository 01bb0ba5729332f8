"""The versions in the server: loaded, swapped without losing a request, split between, and taken back."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wattline.params.serving import CanaryParams, ServingParams
from wattline.records import Signature
from wattline.serving.batching import Batcher
from wattline.serving.metrics.counters import Metrics
from wattline.serving.queue import Queue
from wattline.serving.refusal import RefusedError
from wattline.serving.versions.judge import Judge
from wattline.serving.versions.loading import Loaded, LoadError
from wattline.serving.versions.rejected import Rejected
from wattline.serving.versions.traffic import Split

LOG = logging.getLogger("wattline.serving")
Role = Literal["stable", "canary", "shadow"]
Fetch = Callable[[], Loaded | None]
"""Loads the newest verified version, or says that it is no other than before. Blocks, and raises LoadError."""


class Serving:
    """One version that answers."""

    __slots__ = ("batcher", "digest", "loaded", "name", "places", "said", "signature", "version", "watch")

    def __init__(self, loaded: Loaded, batcher: Batcher, watch: "_Watch") -> None:
        self.loaded, self.batcher, self.watch = loaded, batcher, watch
        self.name, self.version, self.digest = loaded.name, loaded.version, loaded.digest
        self.said = loaded.said()
        self.signature: Signature = loaded.engine.signature
        self.places = {unit: place for place, unit in enumerate(self.signature.units)}

    @property
    def role(self) -> Role:
        return self.watch.role


class _Watch:
    """Hands what a batcher did to the metrics and, for a canary, to its judge."""

    def __init__(self, models: "Models", loaded: Loaded, role: Role, metrics: Metrics) -> None:
        self._models, self._loaded, self.role, self._metrics = models, loaded, role, metrics

    def ran(self, windows: int, seconds: float) -> None:
        self._metrics.ran(self._loaded.version, self.role, windows, seconds)
        self._models.timed(self, windows, seconds)

    def spent(self, cpu_seconds: float) -> None:
        self._metrics.spent(cpu_seconds)

    def waited(self, seconds: float) -> None:
        self._metrics.waited(seconds)

    def failed(self, windows: int, error: Exception) -> None:
        LOG.error("version %s failed on %d windows: %s: %s", self._loaded.version, windows, type(error).__name__, error)


class Models:
    """Which versions answer. All of its methods belong to the event loop's thread."""

    def __init__(
        self,
        params: ServingParams,
        *,
        stable: Fetch,
        challenger: Fetch | None,
        rejected: Rejected,
        metrics: Metrics,
        arriving: Callable[[], int],
    ) -> None:
        """Serve what `stable` fetches.

        challenger: fetches the canary or shadow; rejected: digests that were taken back, shared by all workers
        """
        self._params, self._metrics, self._arriving = params, metrics, arriving
        self.limits = params.limits
        self._fetch: dict[Role, Fetch | None] = {"stable": stable, "canary": challenger}
        self._rejected = rejected
        self._newest: dict[Role, Loaded | None] = {}
        self.queue = self._fresh_queue()
        self.stable: Serving | None = None
        self.challenger: Serving | None = None
        self.canary: CanaryParams = params.canary
        self._split = Split(params.canary.mode, params.canary.percent)
        self._judge = Judge(params.canary)
        self._lock = asyncio.Lock()
        self._retiring: dict[asyncio.Task[None], Serving] = {}

    def pick(self, key: str) -> tuple[Serving, Serving | None]:
        """Who answers a question with this key, and who else gets a copy. Raises RefusedError 503 without a model."""
        stable, challenger = self.stable, self.challenger
        if stable is None:
            raise unready()
        if challenger is None or self._split.choose(key) == "stable":
            return stable, None
        return (stable, challenger) if challenger.role == "shadow" else (challenger, None)

    def places(self, units: NDArray[np.int64], serving: Serving, *, of: Serving | None = None) -> NDArray[np.int64]:
        """Places in the units of `of`, or else the stable version, as places in those of `serving`.

        -1 where it knows no such unit.
        """
        source = of or self.stable
        if source is None or serving is source or serving.signature.units == source.signature.units:
            return units
        names, known = source.signature.units, serving.places
        found = [known.get(names[at], -1) if 0 <= at < len(names) else -1 for at in units.tolist()]
        return np.array(found, dtype=np.int64)

    def named(self, name: str, version: str | None) -> Serving | None:
        """The version that a caller insists on; None when any will do. Raises RefusedError 404 when it is not here."""
        here = self.versions()
        if not here:
            raise unready()
        if name != here[0].name:
            raise RefusedError(
                f"there is no model {name[:100]!r} here; it is {here[0].name!r}", status=404, reason="model"
            )
        if version is None:
            return None
        for serving in here:
            if serving.version == version and serving.role != "shadow":
                return serving
        served = ", ".join(serving.version for serving in here if serving.role != "shadow")
        raise RefusedError(
            f"version {version[:100]!r} of {name} is not served; served: {served}", status=404, reason="model"
        )

    def versions(self) -> list[Serving]:
        """Everything that is loaded, the stable one first."""
        return [one for one in (self.stable, self.challenger) if one is not None]

    def look_after(self, serving: Serving) -> None:
        """Go on answering, or telling that a deadline passed, where `serving` was asked although it was replaced."""
        if serving not in self.versions():
            self._retire(serving)

    async def reload(self) -> dict[str, Any]:
        """Look for a new champion, and a new challenger where one is tried; what serves stays when that fails.

        returns: role -> version that serves now, and role_error -> sentence for what could not be loaded
        """
        async with self._lock:
            found: dict[str, Any] = {}
            for role in ("stable", "canary"):
                error = await self._renew(role)
                self._retire_unfit()
                serving = self.stable if role == "stable" else self.challenger
                found[role] = serving.version if serving else None
                if error:
                    found[f"{role}_error"] = error
            return found

    async def watch(self) -> None:
        """Look for a new champion for ever, whatever goes wrong in one look."""
        while True:
            await asyncio.sleep(self._params.model.poll_seconds)
            try:
                await self.reload()
            except Exception:
                LOG.exception("looking for a new version failed; it is tried again in the next round")

    def steer(self, canary: CanaryParams) -> None:
        """Change how requests are split, from now on."""
        self.canary = canary
        self._split, self._judge = Split(canary.mode, canary.percent), Judge(canary)
        self._metrics.canary_percent(canary.percent if canary.mode != "off" else 0.0)
        if canary.mode == "off":
            self._retire_challenger()
        elif self.challenger is not None and self.challenger.role != canary.mode:
            former, self.challenger = self.challenger, self._serving(self.challenger.loaded, canary.mode)
            self._metrics.relabelled(former.name, former.version, former.digest, former=former.role, role=canary.mode)
            self._retire(former)

    def judged(self, serving: Serving, *, ok: bool) -> None:
        """Note how one request of the challenger, or of the stable version beside it, went; of others, nothing."""
        if self.challenger is not None and serving in self.versions():
            self._judge.counted(serving.role, ok=ok)
            self._roll_back_if_broken()

    def timed(self, watch: _Watch, windows: int, seconds: float) -> None:
        """Note how long a run took that `watch` saw; nothing where it watches a version that answers no more."""
        if self.challenger is not None and watch in [one.watch for one in self.versions()]:
            self._judge.timed(watch.role, windows=windows, seconds=seconds)
            self._roll_back_if_broken()

    def expire(self, now: float) -> None:
        """Answer those whose deadline has passed."""
        for serving in (*self.versions(), *self._retiring.values()):
            serving.batcher.expire(now)

    async def drain(self) -> None:
        """Wait until every queued request was answered."""
        for serving in self.versions():
            await serving.batcher.drain()
        for task in list(self._retiring):
            await task

    async def _renew(self, role: Role) -> str | None:
        """Load and put into service what `role` should be. Returns why not, or None."""
        fetch = self._fetch[role]
        if fetch is None or (role == "canary" and self.canary.mode == "off"):
            return None
        began = time.perf_counter()
        try:
            loaded = await asyncio.to_thread(fetch)
        except LoadError as error:
            if error.reason != "unchanged":
                self._metrics.load_failed(error.reason)
                LOG.error("the %s model was not loaded (%s): %s", role, error.reason, error)
            return str(error)
        loaded = self._newest[role] = loaded or self._newest.get(role)
        return None if loaded is None else self._consider(role, loaded, time.perf_counter() - began)

    def _consider(self, role: Role, loaded: Loaded, seconds: float) -> str | None:
        """Put `loaded` into service unless it is there already. Returns why it cannot be, or None."""
        current = self.stable if role == "stable" else self.challenger
        same = current is not None and (current.digest, current.version) == (loaded.digest, loaded.version)
        has_won = role == "canary" and self.stable is not None and self.stable.digest == loaded.digest
        # The trial may have been ended while the challenger was loaded.
        is_off = role == "canary" and self.canary.mode == "off"
        if has_won or is_off:
            return None
        if role == "canary" and (reason := self._unfit(loaded)):
            return f"version {loaded.version} is not tried: {reason}"
        if current is None or not same:
            self._install(role, loaded, seconds)
        else:  # it may have been signed or promoted again
            current.said, self._newest[role] = loaded.said(), current.loaded
        return None

    def _unfit(self, loaded: Loaded) -> str | None:
        """Why a challenger cannot stand beside the stable version, or None."""
        if reason := self._rejected.reason(loaded.digest):
            return f"it was taken back before ({reason})"
        if self.stable is None:
            return "there is no stable version beside it"
        mine, its = self.stable.signature, loaded.engine.signature
        if not fits(mine, its):
            return "it wants other columns or steps than the stable version, so the same requests cannot be put to both"
        given = {(one.name, one.dtype, one.shape[1:]) for one in its.outputs}
        absent = [one.name for one in mine.outputs if (one.name, one.dtype, one.shape[1:]) not in given]
        if absent:
            return f"it does not give {', '.join(absent)} as the stable version does, which callers rely on"
        return None

    def _install(self, role: Role, loaded: Loaded, seconds: float) -> None:
        """Let `loaded` answer from the next request on; what is queued is still answered by its predecessor."""
        shown: Role = self.canary.mode if role == "canary" and self.canary.mode != "off" else role
        serving = self._serving(loaded, shown)
        if role == "stable":
            former, self.stable = self.stable, serving
            if self.challenger is not None and self.challenger.digest == loaded.digest:
                self._retire_challenger()
        else:
            former, self.challenger = self.challenger, serving
            self._judge = Judge(self.canary)
        self._metrics.loaded(loaded.name, loaded.version, loaded.digest, shown, seconds)
        LOG.warning("version %s of %s answers as %s", loaded.version, loaded.name, shown)
        if former is not None:
            self._metrics.swapped(former.name, former.version, former.digest, former.role)
            self._retire(former)

    def _serving(self, loaded: Loaded, role: Role) -> Serving:
        watch = _Watch(self, loaded, role, self._metrics)
        return Serving(loaded, self._batcher(loaded, watch), watch)

    def _fresh_queue(self) -> Queue:
        return Queue(self.limits.queue_windows, share=self.limits.queue_share)

    def _batcher(self, loaded: Loaded, watch: _Watch) -> Batcher:
        return Batcher(
            loaded.engine,
            self._params.batching,
            # What nobody waits for must not take the room of those who do, nor tell how long they would wait.
            queue=self._fresh_queue() if watch.role == "shadow" else self.queue,
            watcher=watch,
            arriving=self._arriving,
            seconds_per_window=loaded.seconds_per_window,
            # Nor must it hold up the loop that answers everybody else.
            inline=watch.role != "shadow",
        )

    def _roll_back_if_broken(self) -> None:
        reason, challenger = self._judge.verdict(), self.challenger
        if reason is None or challenger is None:
            return
        self._rejected.add(challenger.digest, version=challenger.version, reason=reason)
        self._metrics.rolled_back(reason)
        LOG.error("version %s was taken back as %s: %s", challenger.version, challenger.role, reason)
        self._retire_challenger()

    def _retire_unfit(self) -> None:
        """Retire a challenger that another worker took back, or that fits no more beside a new stable version."""
        if self.challenger is not None and (reason := self._unfit(self.challenger.loaded)):
            LOG.error("version %s is no longer tried: %s", self.challenger.version, reason)
            self._retire_challenger()

    def _retire_challenger(self) -> None:
        former, self.challenger = self.challenger, None
        if former is not None:
            self._metrics.swapped(former.name, former.version, former.digest, former.role)
            self._retire(former)

    def _retire(self, serving: Serving) -> None:
        task = asyncio.get_running_loop().create_task(serving.batcher.drain())
        self._retiring[task] = serving
        task.add_done_callback(self._retiring.pop)


def fits(one: Signature, other: Signature) -> bool:
    """Whether the same windows can be put to both."""
    return (one.steps, one.columns) == (other.steps, other.columns)


def unready() -> RefusedError:
    """What a caller is told while there is no model."""
    return RefusedError(
        "the model is not loaded yet; ask again", status=503, reason="unready", headers={"Retry-After": "1"}
    )
