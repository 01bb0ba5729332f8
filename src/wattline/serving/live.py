"""The handlers of /observe and /feedback, which keep something."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import orjson

from wattline.params.serving import ServingParams
from wattline.serving.call import JSON, Call, Reply
from wattline.serving.handlers import STICKY, identity, require_type
from wattline.serving.metrics.counters import Metrics
from wattline.serving.observing.observations import Observations
from wattline.serving.prediction_log.log import PredictionLog
from wattline.serving.protocol import feedback, observe
from wattline.serving.refusal import RefusedError
from wattline.serving.scoring import Asked, Scoring
from wattline.serving.versions.models import Models, unready


class Observer:
    """The handler of /observe: newest samples in, answers of complete windows out."""

    def __init__(self, params: ServingParams, models: Models, scoring: Scoring) -> None:
        """Raises InputError when the file of observations cannot be used."""
        self._params, self._models, self._scoring = params, models, scoring
        # One thread: SQLite's connection belongs to it, and samples are stored in their order of arrival.
        self._thread = ThreadPoolExecutor(1, "observations")
        self._store = self._thread.submit(Observations, params.observe).result() if params.observe.file else None

    async def observe(self, call: Call) -> Reply:
        """POST /observe."""
        require_type(call, JSON)
        stable, store = self._models.stable, self._store
        if store is None:
            raise RefusedError("/observe is off: serving.observe.file is empty", status=404, reason="off")
        if stable is None:
            raise unready()
        signature = stable.signature
        samples = observe.parse(
            call.body,
            signature,
            now=datetime.now(UTC),
            future_seconds=self._params.observe.future_seconds,
            maximum_samples=self._params.limits.request_windows,
            extra_columns=self._params.extra_columns,
        )
        # Before anything is stored: who is sent away sends it all again.
        self._models.queue.check(len(samples), call.deadline - time.monotonic())
        loop = asyncio.get_running_loop()
        # Shielded: samples that were accepted are stored, whether or not the caller waits for the answer.
        observed = await asyncio.shield(loop.run_in_executor(self._thread, store.observe, samples, signature))
        complete = [one for one in observed if one.window is not None]
        if not complete:
            return Reply(200, orjson.dumps({"id": call.id, "answers": observe.answers(observed, None, signature)}))
        windows = np.stack([one.window for one in complete if one.window is not None])
        places = np.array([stable.places.get(one.unit, -1) for one in complete], dtype=np.int64)
        names = tuple(one.unit for one in complete)
        asked = Asked(windows, places, call.headers.get(STICKY) or names[0], names, stable)
        serving, outputs = await self._scoring.outputs(call, asked)
        answers = observe.answers(observed, outputs, serving.signature)
        return Reply(200, orjson.dumps({"id": call.id, "model": identity(serving), "answers": answers}))

    def close(self) -> None:
        """Close the store; what was accepted is on disk."""
        if self._store is not None:
            self._thread.submit(self._store.close).result()
        self._thread.shutdown()


class Feedback:
    """The handler of /feedback."""

    def __init__(self, log: PredictionLog | None, metrics: Metrics) -> None:
        self._log, self._metrics = log, metrics

    async def accept(self, call: Call) -> Reply:
        """POST /feedback: labels for answers, by their id."""
        require_type(call, JSON)
        if self._log is None:
            raise RefusedError("/feedback is off: serving.log.folder is empty", status=404, reason="off")
        items = feedback.parse(call.body)
        accepted = self._log.feedback(items, principal=call.principal.name)
        if not accepted:
            raise RefusedError(
                "the log of answers is full; send the feedback again in 1 s",
                status=503,
                reason="log",
                headers={"Retry-After": "1"},
            )
        self._metrics.feedback(len(items))
        return Reply(202, orjson.dumps({"accepted": len(items)}))
