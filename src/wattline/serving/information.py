"""The handlers that tell or steer: probes, metadata, the model's papers, metrics, reload, canary."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import ValidationError

from wattline.params.serving import CanaryParams
from wattline.serving.call import JSON, Call, Handler, Reply
from wattline.serving.handlers import Send, identity, model_in, require_type
from wattline.serving.metrics.counters import Metrics
from wattline.serving.protocol import openinference
from wattline.serving.protocol.answer import summary
from wattline.serving.refusal import RefusedError
from wattline.serving.versions.models import Models, unready


def immediate(handle: Callable[[Call], Any]) -> Handler:
    """A handler for what is known at once; it returns what becomes JSON."""

    def start(call: Call, send: Send) -> None:
        send(Reply(200, orjson.dumps(handle(call))))

    return start


class Information:
    """The handlers. `ready` says whether traffic may come."""

    def __init__(self, models: Models, metrics: Metrics, *, ready: Callable[[], bool]) -> None:
        self._models, self._metrics, self._ready = models, metrics, ready
        self._reloading: set[asyncio.Task[dict[str, Any]]] = set()

    def livez(self, _: Call) -> dict[str, str]:
        return {"status": "alive"}

    def readyz(self, _: Call) -> dict[str, Any]:
        """Raises RefusedError 503 while there is no model, and once the server was told to end."""
        stable = self._models.stable
        if stable is None:
            raise unready()
        if not self._ready():
            raise RefusedError("the server is about to end", status=503, reason="draining")
        return {"status": "ready", "model": identity(stable)}

    def model(self, _: Call) -> dict[str, Any]:
        """GET /model: what answers, what was signed about it, and since when it is champion."""
        here = self._models.versions()
        if not here:
            raise unready()
        return {
            "roles": {serving.role: identity(serving) for serving in here},
            **summary(here[0].signature, here[0].loaded.engine.candidate),
            **here[0].said,
        }

    def server(self, _: Call) -> dict[str, Any]:
        return openinference.server_metadata()

    def live(self, _: Call) -> dict[str, bool]:
        return {"live": True}

    def ready(self, call: Call) -> dict[str, bool]:
        self.readyz(call)
        return {"ready": True}

    def metadata(self, call: Call) -> dict[str, Any]:
        """GET /v2/models/{name}[/versions/{version}]."""
        serving = self._models.named(*model_in(call.path)) or self._models.versions()[0]
        versions = [one.version for one in self._models.versions() if one.role != "shadow"]
        return openinference.model_metadata(serving.signature, serving.name, versions)

    def model_ready(self, call: Call) -> dict[str, Any]:
        """GET /v2/models/{name}[/versions/{version}]/ready."""
        serving = self._models.named(*model_in(call.path)) or self._models.versions()[0]
        self.readyz(call)
        return {"name": serving.name, "ready": True}

    def metrics(self, call: Call, send: Send) -> None:
        """GET /metrics."""
        body, content_type = self._metrics.render(call.headers.get("accept", ""))
        send(Reply(200, body, content_type=content_type))

    async def reload(self, _: Call) -> Reply:
        """POST /admin/reload: look for a new champion and challenger now."""
        found = await self._reloaded()
        return Reply(409 if "stable_error" in found else 200, orjson.dumps(_refusal_or(found)))

    async def _reloaded(self) -> dict[str, Any]:
        """Reload. What was begun is put into service even where the caller has left or been answered 504 meanwhile."""
        reloading = asyncio.get_running_loop().create_task(self._models.reload())
        self._reloading.add(reloading)
        reloading.add_done_callback(self._reloading.discard)
        return await asyncio.shield(reloading)

    def canary(self, _: Call) -> dict[str, Any]:
        """GET /admin/canary."""
        roles = {serving.role: identity(serving) for serving in self._models.versions()}
        return {**self._models.canary.model_dump(), "roles": roles}

    async def steer(self, call: Call) -> Reply:
        """POST /admin/canary: change how requests are split; keys that are not given stay as they are."""
        require_type(call, JSON, absent=True)
        try:
            asked = orjson.loads(call.body)
            canary = CanaryParams.model_validate({**self._models.canary.model_dump(), **asked})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise RefusedError(f"{field}: {first['msg']}, got {first['input']!r}"[:300], status=422) from None
        except (orjson.JSONDecodeError, TypeError):
            raise RefusedError("the body must be a JSON object of canary settings") from None
        self._models.steer(canary)
        if canary.mode != "off":
            found = await self._reloaded()
            if "canary_error" in found:
                raise RefusedError(found["canary_error"], status=409, reason="canary")
        return Reply(200, orjson.dumps(self.canary(call)))


def _refusal_or(found: dict[str, Any]) -> dict[str, Any]:
    return {"error": found["stable_error"], **found} if "stable_error" in found else found
