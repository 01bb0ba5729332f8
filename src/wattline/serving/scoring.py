"""From windows to the outputs of the version that should answer them: canary, shadow, counting and logging included."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wattline.params.serving import LimitsParams
from wattline.serving.batching import Outputs, Ticket
from wattline.serving.call import Call
from wattline.serving.metrics.counters import Metrics
from wattline.serving.prediction_log.log import Answers, PredictionLog, digest
from wattline.serving.refusal import RefusedError
from wattline.serving.transport import wire
from wattline.serving.versions.models import Models, Serving, fits
from wattline.task import FloatArray

LOG = logging.getLogger("wattline.serving")


@dataclass(slots=True)
class Asked:
    """What is asked of the graph.

    windows: (n, steps, columns) float32
    units: (n,) places in the units of the signature of `read_for`
    names: of the units, for the log, where the caller gave names
    key: what a canary's share is sticky by
    read_for: the version that was stable when this was read; None: it still is
    """

    windows: FloatArray
    units: NDArray[np.int64]
    key: str
    names: tuple[str, ...] = ()
    read_for: Serving | None = None
    _digests: list[str] = field(default_factory=list)

    def digests(self) -> list[str]:
        """Of the windows, for the log; made once, also where a shadow is asked too."""
        if not self._digests:
            self._digests = [digest(window) for window in self.windows]
        return self._digests


class Answered(Protocol):
    """Called once: with the version that answered, its outputs and the first row of this asked in them."""

    def __call__(self, serving: Serving, outputs: Outputs | RefusedError, row: int, /) -> None: ...


class Scoring:
    """Asks the right version, and writes down what it said."""

    def __init__(self, models: Models, *, metrics: Metrics, log: PredictionLog | None) -> None:
        self._models, self._metrics, self._log = models, metrics, log

    def ask(self, call: Call, asked: Asked, answered: Answered, *, only: Serving | None = None) -> Callable[[], None]:
        """Queue `asked`. Returns what gives its place back. Raises RefusedError when there is no room or no model.

        only: the version that must answer; None: the one that the split says
        """
        serving, shadow = (only, None) if only else self._models.pick(asked.key)
        attempt = _Attempt(self, call, asked, answered, insisted=only is not None)
        attempt.submit(serving)
        if shadow is not None:
            self._copy(call, asked, shadow)
        if only is not None:
            self._models.look_after(only)
        return attempt.cancel

    @property
    def stable(self) -> Serving | None:
        """The version that answers where no canary does."""
        return self._models.stable

    def places(self, asked: Asked, serving: Serving) -> NDArray[np.int64]:
        """The units of `asked` as places in the units of `serving`."""
        return self._models.places(asked.units, serving, of=asked.read_for)

    async def outputs(self, call: Call, asked: Asked) -> tuple[Serving, Outputs]:
        """The same for handlers that wait. Cancelling the task gives the place back.

        Where a version with other columns or steps has become stable since `asked` was read, its predecessor answers,
        as it does for what was queued before.
        """
        reader, stable = asked.read_for, self._models.stable
        only = None if reader is None or (stable is not None and fits(stable.signature, reader.signature)) else reader
        future: asyncio.Future[tuple[Serving, Outputs]] = asyncio.get_running_loop().create_future()

        def answered(serving: Serving, outputs: Outputs | RefusedError, row: int) -> None:
            if future.done():
                return
            if isinstance(outputs, RefusedError):
                future.set_exception(outputs)
            else:
                count = len(asked.units)
                future.set_result((serving, {name: values[row : row + count] for name, values in outputs.items()}))

        cancel = self.ask(call, asked, answered, only=only)
        try:
            return await future
        finally:
            cancel()

    def record(self, serving: Serving, call: Call, asked: Asked, outputs: Outputs, row: int) -> None:
        """Count what `serving` said and put it into the log."""
        count = len(asked.units)
        scores = outputs["score"][row : row + count].tolist()
        limits = outputs["threshold"][row : row + count].tolist() if "threshold" in outputs else None
        self._metrics.answered(serving.version, serving.role, scores, limits)
        if self._log is None:
            return
        known = serving.signature.units
        names = asked.names or [known[at] if 0 <= at < len(known) else str(at) for at in asked.units.tolist()]
        self._log.record(
            Answers(
                call.id,
                time.time_ns(),
                names,
                asked.digests(),
                scores,
                limits,
                serving.name,
                serving.version,
                serving.digest,
                call.route.template if call.route else call.path,
                call.principal.name,
                serving.role,
                count == 1,
            )
        )

    def failed(self, serving: Serving, call: Call, error: RefusedError) -> None:
        """Count that `serving` gave no answer. That a caller gave it less time than others do is not its fault."""
        self._metrics.unanswered(serving.version, serving.role, error.reason)
        hurried = error.reason == "deadline" and _wants_sooner(call, self._models.limits)
        if error.reason != "queue" and not hurried:
            self._models.judged(serving, ok=False)

    def succeeded(self, serving: Serving, asked: Asked, outputs: Outputs, row: int) -> bool:
        """Whether the answer can be used; a canary that makes no number out of a complete window has failed."""
        if serving.role == "stable":
            return True
        count = len(asked.units)
        finite = np.isfinite(outputs["score"][row : row + count])
        ok = bool(finite.all()) or bool(np.isnan(asked.windows[~finite]).any())
        self._models.judged(serving, ok=ok)
        return ok

    def _copy(self, call: Call, asked: Asked, shadow: Serving) -> None:
        """Let the shadow answer too. Nothing of it reaches the caller, not even a lack of room."""

        def answered(outputs: Outputs | RefusedError, row: int) -> None:
            if isinstance(outputs, RefusedError):
                self.failed(shadow, call, outputs)
            elif self.succeeded(shadow, asked, outputs, row):
                self.record(shadow, call, asked, outputs, row)

        try:
            shadow.batcher.submit(asked.windows, self.places(asked, shadow), deadline=call.deadline, done=answered)
        except RefusedError as error:
            self.failed(shadow, call, error)


def _wants_sooner(call: Call, limits: LimitsParams) -> bool:
    """Whether the caller asked for less time than everybody has."""
    return wire.seconds_allowed(call.headers, limits) < limits.deadline_seconds


class _Attempt:
    """One asked on its way to an answer: a canary's failure is asked again of the stable version.

    Not so where the caller `insisted` on the canary: an answer of another version is not what was asked for.
    """

    __slots__ = ("_answered", "_asked", "_call", "_insisted", "_scoring", "_serving", "_ticket")

    def __init__(self, scoring: Scoring, call: Call, asked: Asked, answered: Answered, *, insisted: bool) -> None:
        self._scoring, self._call, self._asked, self._answered = scoring, call, asked, answered
        self._insisted = insisted
        self._ticket: Ticket | None = None

    def submit(self, serving: Serving) -> None:
        self._serving = serving
        asked = self._asked
        units = self._scoring.places(asked, serving)
        self._ticket = serving.batcher.submit(asked.windows, units, deadline=self._call.deadline, done=self._done)

    def cancel(self) -> None:
        if self._ticket is not None:
            self._ticket.cancel()

    def _done(self, outputs: Outputs | RefusedError, row: int) -> None:
        serving, scoring = self._serving, self._scoring
        if isinstance(outputs, RefusedError):
            scoring.failed(serving, self._call, outputs)
            if serving.role == "stable" or outputs.reason == "deadline" or not self._again():
                self._answered(serving, outputs, row)
        elif scoring.succeeded(serving, self._asked, outputs, row) or not self._again():
            scoring.record(serving, self._call, self._asked, outputs, row)
            self._answered(serving, outputs, row)

    def _again(self) -> bool:
        """Ask the stable version instead of the canary, unless it must be the canary."""
        stable = self._scoring.stable
        if self._insisted or stable is None or stable is self._serving:
            return False
        try:
            self.submit(stable)
        except RefusedError:
            return False
        return True
