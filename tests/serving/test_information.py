"""Steering a server whose registry is slow: it has a deadline of its own, and what was begun is not lost with it."""

import asyncio
import threading
import time
from pathlib import Path

import orjson
import pytest

from tests.serving.test_models import Engine, loaded, params
from wattline.serving.call import Call, Reply
from wattline.serving.handlers import asynchronous
from wattline.serving.information import Information
from wattline.serving.metrics.counters import Metrics
from wattline.serving.refusal import RefusedError
from wattline.serving.versions.models import Models
from wattline.serving.versions.rejected import Rejected

pytestmark = pytest.mark.anyio


class Slow:
    """A server whose new champion comes when the test lets it."""

    def __init__(self, folder: Path) -> None:
        self.let = threading.Event()
        metrics = Metrics()
        self.models = Models(
            params(),
            stable=self._fetch,
            challenger=None,
            rejected=Rejected(folder / "rejected.json"),
            metrics=metrics,
            arriving=lambda: 0,
        )
        self._information = Information(self.models, metrics, ready=lambda: True)

    def _fetch(self) -> object:
        assert self.let.wait(30)
        return loaded("1", Engine(1.0))

    async def steer(self, headers: dict[str, str]) -> Reply:
        """What a caller of /admin/canary is told who wants no canary."""
        now = time.monotonic()
        body = b'{"mode": "off", "percent": 7}'
        return await self._information.steer(
            Call("POST", "/admin/canary", "", headers, body, "1", now, now + 1, "test")
        )

    async def reload(self, *, allowed: float, headers: dict[str, str], leave: bool = False) -> Reply | None:
        """What a caller of /admin/reload is told where scoring requests have 10 ms; None for one who leaves at once."""
        now = time.monotonic()
        call = Call("POST", "/admin/reload", "", headers, b"", "1", now, now + 0.01, "test")
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        cancel = asynchronous(self._information.reload, seconds=allowed)(call, reply.set_result)
        if leave and cancel:
            await asyncio.sleep(0.05)
            cancel()
            return None
        if headers:
            return await reply
        asyncio.get_running_loop().call_later(0.1, self.let.set)
        return await reply


async def test_a_reload_may_take_longer_than_a_scoring_request(tmp_path: Path):
    reply = await Slow(tmp_path).reload(allowed=30, headers={})
    assert reply is not None
    assert (reply.status, orjson.loads(reply.body)) == (200, {"stable": "1", "canary": None})


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "application/json"}, {"content-type": "Application/JSON; charset=utf-8"}]
)
async def test_a_canary_is_steered_by_json_and_by_what_does_not_say_what_it_is(tmp_path: Path, headers: dict[str, str]):
    slow = Slow(tmp_path)
    assert (await slow.steer(headers)).status == 200
    assert slow.models.canary.percent == 7


@pytest.mark.parametrize("found", ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json"])
async def test_a_canary_is_not_steered_by_what_says_that_it_is_no_json(tmp_path: Path, found: str):
    slow = Slow(tmp_path)
    with pytest.raises(RefusedError, match="Content-Type must be application/json") as refusal:
        await slow.steer({"content-type": found})
    assert refusal.value.status == 415
    assert slow.models.canary.percent != 7


@pytest.mark.parametrize("leave", [False, True], ids=["answered-504", "left"])
async def test_a_reload_that_nobody_waits_for_any_more_still_puts_the_new_version_into_service(
    tmp_path: Path, leave: bool
):
    slow = Slow(tmp_path)
    reply = await slow.reload(allowed=30, headers={"x-deadline-ms": "10"}, leave=leave)
    assert leave or (reply is not None and reply.status == 504)
    assert slow.models.stable is None
    slow.let.set()
    async with asyncio.timeout(30):
        while slow.models.stable is None:
            await asyncio.sleep(0.01)
    assert slow.models.stable.version == "1"
