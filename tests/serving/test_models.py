"""Versions beside each other: who answers whom, what a broken challenger costs, and what a shadow never does."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from tests import builders
from tests.serving.running import ROOT, merge
from wattline.params.serving import ServingParams
from wattline.serving.batching import Outputs
from wattline.serving.call import Call
from wattline.serving.metrics.counters import Metrics
from wattline.serving.refusal import RefusedError
from wattline.serving.scoring import Asked, Scoring
from wattline.serving.versions.loading import LoadError
from wattline.serving.versions.models import Models, Serving
from wattline.serving.versions.rejected import Rejected

pytestmark = pytest.mark.anyio


class Engine:
    """Answers every window with one number, after which it may be told to fail or to answer with something else."""

    def __init__(self, score: float, units: tuple[str, ...] = builders.UNITS) -> None:
        self.score, self.asked = score, 0
        self.broken = False
        self.units: list[int] = []
        self.signature = builders.signature().model_copy(update={"units": units})

    def options(self) -> Any:
        return SimpleNamespace(terminate=False)

    def run(self, windows: Any, units: Any, *, options: Any = None) -> Outputs:
        self.asked += len(units)
        self.units += units.tolist()
        if self.broken:
            raise RuntimeError("broken")
        return {"score": np.full(len(units), self.score, np.float32)}


def loaded(version: str, engine: Engine) -> Any:
    return SimpleNamespace(
        engine=engine, name="anomaly", version=version, digest=version * 8, seconds_per_window=1e-6, said=dict
    )


def params(**changes: Any) -> ServingParams:
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())["serving"]
    merge(tree, changes)
    return ServingParams.model_validate(tree)


def a_call(**headers: str) -> Call:
    now = time.monotonic()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call("POST", "/predict", "", named, b"", "id", now, now + 100, "test")


def question(key: str, *, unit: int = 0, values: float = 0.0, count: int = 1) -> Asked:
    windows = np.full((count, builders.STEPS, len(builders.COLUMNS)), values, np.float32)
    return Asked(windows, np.full(count, unit), key)


class Bench:
    """Models with stub engines, and somebody who asks them."""

    def __init__(self, folder: Path, *, mode: str, percent: float = 50.0, **engines: Any) -> None:
        self.stable, self.challenger = Engine(1.0), engines.pop("challenger", Engine(2.0))
        self.metrics = Metrics()
        self.rejected = Rejected(folder / "rejected.json")
        self.models = Models(
            params(canary={"mode": mode, "percent": percent, "minimum_requests": 20}),
            stable=lambda: loaded("1", self.stable),
            challenger=lambda: loaded("2", self.challenger),
            rejected=self.rejected,
            metrics=self.metrics,
            arriving=lambda: 0,
        )
        self.scoring = Scoring(self.models, metrics=self.metrics, log=None)

    async def ask(self, key: str, *, unit: int = 0, values: float = 0.0) -> tuple[str, float]:
        """Version and score of one answer."""
        serving, outputs = await self.scoring.outputs(a_call(), question(key, unit=unit, values=values))
        return serving.version, float(outputs["score"][0])

    async def insist(self, serving: Serving) -> tuple[str, Outputs | RefusedError]:
        """Version and outputs for a caller who insists on `serving`."""
        future: asyncio.Future[tuple[str, Outputs | RefusedError]] = asyncio.get_running_loop().create_future()
        self.scoring.ask(
            a_call(), question("a"), lambda by, outputs, row: future.set_result((by.version, outputs)), only=serving
        )
        return await future

    def steer(self, mode: str) -> None:
        self.models.steer(self.models.canary.model_copy(update={"mode": mode}))

    def count(self, pattern: str) -> float:
        lines = self.metrics.render("")[0].decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(pattern))


async def test_without_a_challenger_everything_is_answered_by_the_champion(tmp_path: Path):
    bench = Bench(tmp_path, mode="off")
    await bench.models.reload()
    assert {await bench.ask(str(at)) for at in range(20)} == {("1", 1.0)}
    assert bench.challenger.asked == 0


async def test_a_canary_answers_its_share_and_always_the_same_keys(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary")
    await bench.models.reload()
    first = {key: await bench.ask(key) for key in map(str, range(200))}
    assert first == {key: await bench.ask(key) for key in first}
    assert set(first.values()) == {("1", 1.0), ("2", 2.0)}
    assert 60 <= sum(version == "2" for version, _ in first.values()) <= 140


async def test_a_shadow_is_asked_too_but_never_answers(tmp_path: Path):
    bench = Bench(tmp_path, mode="shadow", percent=100.0)
    await bench.models.reload()
    assert {await bench.ask(str(at)) for at in range(30)} == {("1", 1.0)}
    await bench.models.drain()
    assert bench.challenger.asked == 30
    assert bench.count('wattline_answers_total{outcome="answered",role="shadow",version="2"}') == 30


async def test_a_broken_shadow_is_never_noticed_by_a_caller_and_is_taken_back(tmp_path: Path):
    bench = Bench(tmp_path, mode="shadow", percent=100.0)
    await bench.models.reload()
    bench.challenger.broken = True
    assert {await bench.ask(str(at)) for at in range(40)} == {("1", 1.0)}
    await bench.models.drain()
    assert bench.models.challenger is None


@pytest.mark.parametrize("score", [float("nan"), None])
async def test_a_broken_canary_costs_no_answer_and_is_taken_back_for_good(tmp_path: Path, score: float | None):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    assert (await bench.ask("a"))[0] == "2"
    if score is None:
        bench.challenger.broken = True
    else:
        bench.challenger.score = score
    assert {await bench.ask(str(at)) for at in range(60)} == {("1", 1.0)}
    assert bench.models.challenger is None
    assert bench.count('wattline_rollbacks_total{reason="errors"}') == 1
    found = await bench.models.reload()
    assert (found["canary"], "taken back" in found["canary_error"]) == (None, True)
    again = Bench(tmp_path, mode="canary", percent=100.0)
    await again.models.reload()
    assert (await again.ask("a"))[0] == "1"


async def test_a_canary_without_a_number_for_a_window_without_samples_has_done_nothing_wrong(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0, challenger=Engine(float("nan")))
    await bench.models.reload()
    answers = [await bench.ask(str(at), values=float("nan")) for at in range(60)]
    assert {version for version, _ in answers} == {"2"}
    assert bench.models.challenger is not None


async def test_units_are_translated_where_the_challenger_knows_others(tmp_path: Path):
    turned = (builders.UNITS[2], "node-99", builders.UNITS[0])
    bench = Bench(tmp_path, mode="canary", percent=100.0, challenger=Engine(2.0, turned))
    await bench.models.reload()
    for unit in (0, 1, 2, -1, 7):
        await bench.ask("a", unit=unit)
    assert bench.challenger.units == [2, -1, 0, -1, -1]


async def test_a_challenger_that_wants_other_columns_is_not_tried(tmp_path: Path):
    other = Engine(2.0)
    other.signature = other.signature.model_copy(update={"steps": 9})
    bench = Bench(tmp_path, mode="canary", percent=100.0, challenger=other)
    found = await bench.models.reload()
    assert "columns or steps" in found["canary_error"]
    assert (await bench.ask("a"))[0] == "1"


@pytest.mark.parametrize("change", [None, {"dtype": "int64"}, {"shape": ("batch", 2)}])
async def test_a_challenger_without_an_output_of_the_champion_is_not_tried(tmp_path: Path, change: Any):
    other = Engine(2.0)
    score, *rest = other.signature.outputs
    kept = () if change is None else (score.model_copy(update=change),)
    other.signature = other.signature.model_copy(update={"outputs": (*kept, *rest)})
    bench = Bench(tmp_path, mode="canary", percent=100.0, challenger=other)
    found = await bench.models.reload()
    assert "does not give score" in found["canary_error"]
    assert (await bench.ask("a"))[0] == "1"


async def test_a_challenger_with_more_outputs_than_the_champion_is_tried(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    bench.stable.signature = builders.signature(optional=False)
    await bench.models.reload()
    assert (await bench.ask("a"))[0] == "2"


@pytest.mark.parametrize("gone", [False, True])
async def test_a_challenger_that_another_worker_took_back_goes_at_the_next_look(tmp_path: Path, gone: bool):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    Rejected(tmp_path / "rejected.json").add("2" * 8, version="2", reason="errors")
    if gone:
        bench.models._fetch["canary"] = failing("unreachable")
    found = await bench.models.reload()
    assert (found["canary"], "taken back" in found["canary_error"]) == (None, not gone)
    assert (await bench.ask("a"))[0] == "1"


async def test_a_challenger_goes_when_a_new_champion_wants_other_columns(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    other = Engine(3.0)
    other.signature = other.signature.model_copy(update={"steps": 9})
    bench.models._fetch["stable"] = lambda: loaded("3", other)
    found = await bench.models.reload()
    assert (found["canary"], "columns or steps" in found["canary_error"]) == (None, True)


async def test_a_challenger_that_is_loaded_while_the_trial_ends_is_not_put_into_service(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    loop = asyncio.get_running_loop()

    def ended_meanwhile() -> Any:
        loop.call_soon_threadsafe(bench.steer, "off")
        return loaded("2", bench.challenger)

    bench.models._fetch["canary"] = ended_meanwhile
    await bench.models.reload()
    assert bench.models.challenger is None


async def test_a_challenger_is_not_blamed_for_what_its_predecessor_did(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    former = bench.models.challenger
    assert former is not None
    bench.models._fetch["canary"] = lambda: loaded("3", bench.challenger)
    await bench.models.reload()
    for _ in range(60):
        bench.models.judged(former, ok=False)
    assert (await bench.ask("a"))[0] == "3"
    for _ in range(300):
        for one in bench.models.versions():
            bench.models.judged(one, ok=True)
            bench.models.timed(one.watch, 1, 0.001)
        former.watch.ran(1, 60.0)
    assert (await bench.ask("a"))[0] == "3"


@pytest.mark.parametrize(("headers", "stays"), [({"x_deadline_ms": "1"}, True), ({"x_deadline_ms": "99999999"}, False)])
async def test_a_challenger_is_not_blamed_for_a_callers_haste(tmp_path: Path, headers: dict[str, str], stays: bool):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    serving = bench.models.challenger
    assert serving is not None
    for _ in range(60):
        bench.scoring.failed(serving, a_call(**headers), RefusedError("late", status=504, reason="deadline"))
    assert (bench.models.challenger is not None) == stays


async def test_who_insists_on_a_broken_version_is_not_answered_by_another(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=0.0)
    await bench.models.reload()
    serving = bench.models.named("anomaly", "2")
    assert serving is not None
    bench.challenger.score = float("nan")
    version, outputs = await bench.insist(serving)
    assert isinstance(outputs, dict)
    assert (version, np.isnan(outputs["score"]).all()) == ("2", True)
    bench.challenger.broken = True
    version, outputs = await bench.insist(serving)
    assert isinstance(outputs, RefusedError)
    assert (version, bench.stable.asked) == ("2", 0)


async def test_a_look_that_goes_wrong_is_logged_and_not_the_last_one(tmp_path: Path, monkeypatch, caplog):
    bench = Bench(tmp_path, mode="off")
    looked = asyncio.Event()
    looks = iter((True, False))

    async def reload() -> dict[str, Any]:
        if next(looks, False):
            raise RuntimeError("something nobody thought of")
        looked.set()
        return {}

    monkeypatch.setattr(bench.models, "reload", reload)
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _seconds: sleep(0))
    watching = asyncio.create_task(bench.models.watch())
    async with asyncio.timeout(5):
        await looked.wait()
    watching.cancel()
    assert "something nobody thought of" in caplog.text


async def test_a_shadow_takes_no_room_and_no_estimate_from_callers(tmp_path: Path):
    bench = Bench(tmp_path, mode="shadow", percent=100.0)
    await bench.models.reload()
    shadow = bench.models.challenger
    assert shadow is not None
    queued = question("a", count=50)
    shadow.batcher.submit(queued.windows, queued.units, deadline=time.monotonic() + 100, done=lambda *_: None)
    assert bench.models.queue.windows == 0
    await bench.models.drain()
    assert (bench.challenger.asked, bench.models.queue.seconds_per_window) == (50, 0.0)


async def test_a_shadow_that_becomes_a_canary_shares_the_callers_queue_from_then_on(tmp_path: Path):
    bench = Bench(tmp_path, mode="shadow", percent=100.0)
    await bench.models.reload()
    for mode, expected in (("canary", 3), ("shadow", 0)):
        bench.steer(mode)
        serving = bench.models.challenger
        assert serving is not None
        assert serving.role == mode
        queued = question("a", count=3)
        serving.batcher.submit(queued.windows, queued.units, deadline=time.monotonic() + 100, done=lambda *_: None)
        assert bench.models.queue.windows == expected
        await bench.models.drain()
    lines = bench.metrics.render("")[0].decode().splitlines()
    info = [line for line in lines if line.startswith("wattline_model_info{") and 'version="2"' in line]
    assert [('role="shadow"' in line, line[-4:]) for line in info] == [(True, " 1.0")]


async def test_a_canary_that_becomes_a_shadow_still_answers_who_asked_it(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    waiting = asyncio.create_task(bench.ask("a"))
    await asyncio.sleep(0)
    bench.steer("shadow")
    assert await waiting == ("2", 2.0)
    assert await bench.ask("a") == ("1", 1.0)
    await bench.models.drain()


async def test_a_challenger_that_became_champion_is_not_tried_beside_itself(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    bench.models._fetch["stable"] = lambda: loaded("2", bench.challenger)
    await bench.models.reload()
    assert [one.role for one in bench.models.versions()] == ["stable"]


async def test_what_was_queued_before_a_swap_is_answered_by_the_version_it_was_queued_for(tmp_path: Path):
    bench = Bench(tmp_path, mode="off")
    await bench.models.reload()
    waiting = [asyncio.create_task(bench.ask(str(at))) for at in range(10)]
    await asyncio.sleep(0)
    bench.models._fetch["stable"] = lambda: loaded("3", Engine(3.0))
    await bench.models.reload()
    assert {await one for one in waiting} <= {("1", 1.0), ("3", 3.0)}
    assert await bench.ask("after") == ("3", 3.0)
    await bench.models.drain()


@pytest.mark.parametrize("change", ["units", "columns"])
async def test_what_was_read_before_a_swap_is_never_taken_for_something_else(tmp_path: Path, change: str):
    bench = Bench(tmp_path, mode="off")
    await bench.models.reload()
    former = bench.models.stable
    asked = question("a", unit=0)
    asked.read_for = former
    other = Engine(3.0, units=("new", *builders.UNITS))
    if change == "columns":
        other.signature = other.signature.model_copy(update={"columns": other.signature.columns[::-1]})
    bench.models._fetch["stable"] = lambda: loaded("3", other)
    await bench.models.reload()
    serving, outputs = await bench.scoring.outputs(a_call(), asked)
    if change == "units":
        assert (serving.version, float(outputs["score"][0]), other.units) == ("3", 3.0, [1])
    else:
        assert (serving.version, float(outputs["score"][0]), bench.stable.units) == ("1", 1.0, [0])
    await bench.models.drain()


async def test_a_version_that_cannot_be_loaded_changes_nothing_and_is_counted_once(tmp_path: Path):
    bench = Bench(tmp_path, mode="off")
    await bench.models.reload()
    for reason in ("digest", "unchanged"):
        bench.models._fetch["stable"] = failing(reason)
        assert "stable_error" in await bench.models.reload()
    assert await bench.ask("a") == ("1", 1.0)
    assert bench.count("wattline_model_load_failures_total{") == 1


async def test_a_version_that_was_promoted_again_is_not_swapped_but_shows_the_new_entry(tmp_path: Path):
    bench = Bench(tmp_path, mode="off")
    await bench.models.reload()
    before = bench.models.stable
    again = loaded("1", Engine(7.0))
    again.said = lambda: {"promotion": {"sequence": 3}}
    bench.models._fetch["stable"] = lambda: again
    assert "stable_error" not in await bench.models.reload()
    assert bench.models.stable is before
    assert before is not None
    assert before.said == {"promotion": {"sequence": 3}}
    assert await bench.ask("a") == ("1", 1.0)


async def test_without_a_model_the_answer_is_503(tmp_path: Path):
    bench = Bench(tmp_path, mode="off")
    with pytest.raises(RefusedError) as refused:
        await bench.ask("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")


async def test_switching_the_canary_off_takes_it_out_and_on_brings_it_back(tmp_path: Path):
    bench = Bench(tmp_path, mode="canary", percent=100.0)
    await bench.models.reload()
    bench.models.steer(bench.models.canary.model_copy(update={"mode": "off"}))
    assert (await bench.ask("a"))[0] == "1"
    bench.models.steer(bench.models.canary.model_copy(update={"mode": "canary"}))
    await bench.models.reload()
    assert (await bench.ask("a"))[0] == "2"


@pytest.mark.parametrize(
    ("name", "version", "expected"), [("anomaly", None, None), ("anomaly", "1", "1"), ("anomaly", "2", "2")]
)
async def test_a_caller_may_insist_on_a_version(tmp_path: Path, name: str, version: str | None, expected: str | None):
    bench = Bench(tmp_path, mode="canary", percent=0.0)
    await bench.models.reload()
    found: Serving | None = bench.models.named(name, version)
    assert (found.version if found else None) == expected


async def test_a_shadow_cannot_be_insisted_on(tmp_path: Path):
    bench = Bench(tmp_path, mode="shadow")
    await bench.models.reload()
    with pytest.raises(RefusedError, match="not served"):
        bench.models.named("anomaly", "2")


def failing(reason: Any) -> Callable[[], Any]:
    """A fetch that never succeeds."""

    def fetch() -> Any:
        raise LoadError("it cannot be loaded", reason=reason)

    return fetch
