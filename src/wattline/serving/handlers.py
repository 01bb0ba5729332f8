"""What the routes that score do: decode, ask, encode."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import numpy as np
import orjson

from wattline.params.serving import ServingParams
from wattline.serving.batching import Outputs
from wattline.serving.call import JSON, Call, Cancel, Handler, Reply, failure, refusal
from wattline.serving.protocol import openinference, question
from wattline.serving.protocol.answer import answer
from wattline.serving.refusal import RefusedError
from wattline.serving.scoring import Asked, Scoring
from wattline.serving.versions.models import Models, Serving, unready

LOG = logging.getLogger("wattline.serving")
ARROW = "application/vnd.apache.arrow.stream"
BINARY = "application/octet-stream"
STICKY = "x-sticky-key"
Send = Callable[[Reply], None]


def asynchronous(handle: Callable[[Call], Awaitable[Reply]], *, seconds: float | None = None) -> Handler:
    """A handler for work that waits: a task of its own, which ends at the call's deadline or when the caller leaves.

    seconds: the deadline where a scoring request's would be too short; a caller may still ask for less
    """

    def start(call: Call, send: Send) -> Cancel:
        async def work() -> None:
            allowed = call.deadline - call.received
            if seconds is not None and "x-deadline-ms" not in call.headers:
                allowed = seconds
            try:
                async with asyncio.timeout(allowed):
                    reply = await handle(call)
            except TimeoutError:
                error = RefusedError("the deadline passed before there was an answer", status=504, reason="deadline")
                reply = refusal(error)
            except RefusedError as error:
                reply = refusal(error)
            except Exception:
                LOG.exception("%s %s failed, request %s", call.method, call.path, call.id)
                reply = failure()
            send(reply)

        task = asyncio.get_running_loop().create_task(work())

        def cancel() -> None:
            task.cancel()

        return cancel

    return start


class Scorers:
    """The handlers of /predict, /predict/batch and /v2/.../infer."""

    def __init__(self, params: ServingParams, models: Models, scoring: Scoring) -> None:
        self._params, self._models, self._scoring = params, models, scoring

    def predict(self, call: Call, send: Send) -> Cancel | None:
        """POST /predict: one window by column name, one answer."""
        require_type(call, JSON)
        signature = self._stable().signature
        asked = question.parse(
            call.body,
            signature,
            extra_columns=self._params.extra_columns,
            now=datetime.now(UTC),
            future_seconds=self._params.observe.future_seconds,
        )
        places = np.array([self._stable().places.get(asked.unit, -1)], dtype=np.int64)

        def answered(serving: Serving, outputs: Outputs | RefusedError, row: int) -> None:
            if isinstance(outputs, RefusedError):
                send(refusal(outputs))
                return
            content = answer(asked, outputs, row, signature=serving.signature)
            send(Reply(200, orjson.dumps({"id": call.id, **content, "model": identity(serving)})))

        key = call.headers.get(STICKY) or asked.unit
        return self._scoring.ask(call, Asked(asked.window[None], places, key, (asked.unit,)), answered)

    def infer(self, call: Call, send: Send) -> Cancel | None:
        """POST /v2/models/{name}[/versions/{version}]/infer, of the Open Inference Protocol."""
        require_type(call, JSON, BINARY, absent=True)  # tritonclient sends none
        stable = self._stable()
        only = self._models.named(*model_in(call.path))
        inference = openinference.decode(
            call.body,
            header_length=call.headers.get("inference-header-content-length"),
            signature=stable.signature,
            maximum_windows=self._params.limits.request_windows,
        )

        def answered(serving: Serving, outputs: Outputs | RefusedError, row: int) -> None:
            if isinstance(outputs, RefusedError):
                send(refusal(outputs))
                return
            count = len(inference.units)
            mine = {name: values[row : row + count] for name, values in outputs.items()}
            body, length = openinference.encode(
                inference, mine, signature=serving.signature, model_name=serving.name, model_version=serving.version
            )
            headers = [("x-prediction-id", call.id)]
            if length is None:
                send(Reply(200, body, tuple(headers)))
            else:
                headers.append(("inference-header-content-length", str(length)))
                send(Reply(200, body, tuple(headers), BINARY))

        key = call.headers.get(STICKY) or inference.id or call.id
        asked = Asked(inference.windows, inference.units, key)
        return self._scoring.ask(call, asked, answered, only=only)

    async def batch(self, call: Call) -> Reply:
        """POST /predict/batch: rows of many units as an Arrow stream, an answer for each complete window."""
        from wattline.serving.protocol import table

        require_type(call, ARROW)
        stable = self._stable()
        rows = await asyncio.to_thread(
            table.decode_table,
            call.body,
            stable.signature,
            extra_columns=self._params.extra_columns,
            maximum_windows=self._params.limits.request_windows,
            now=datetime.now(UTC),
            future_seconds=self._params.observe.future_seconds,
        )
        key = call.headers.get(STICKY) or call.id
        asked = Asked(rows.windows, rows.units, key, tuple(rows.names), stable)
        serving, outputs = await self._scoring.outputs(call, asked)
        body = await asyncio.to_thread(table.encode_table, rows, outputs)
        headers = (("x-prediction-id", call.id), ("x-model-version", serving.version))
        return Reply(200, body, headers, ARROW)

    def _stable(self) -> Serving:
        stable = self._models.stable
        if stable is None:
            raise unready()
        return stable


def model_in(path: str) -> tuple[str, str | None]:
    """Name and version in /v2/models/{name}[/versions/{version}]..."""
    parts = path.split("/")
    return unquote(parts[3]), unquote(parts[5]) if len(parts) > 5 and parts[4] == "versions" else None


def identity(serving: Serving) -> dict[str, Any]:
    """Which version an answer comes from."""
    return {"name": serving.name, "version": serving.version, "digest": serving.digest}


def require_type(call: Call, *wanted: str, absent: bool = False) -> None:
    """Raise RefusedError 415 unless the body says that it is one of `wanted`.

    absent: whether it need not say anything
    """
    found = call.headers.get("content-type")
    if (found is None and absent) or found in wanted or (found or "").split(";")[0].strip().lower() in wanted:
        return
    message = f"Content-Type must be {' or '.join(wanted)}, got {(found or '')[:60] or 'none'}"
    raise RefusedError(message, status=415, reason="content-type")
