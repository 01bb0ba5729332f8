"""Batches: every caller gets their own answer, in time or not at all, and nothing waits for nobody."""

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.params.serving import BatchingParams
from wattline.serving.batching import Batcher, Outputs
from wattline.serving.queue import Queue
from wattline.serving.refusal import RefusedError

pytestmark = pytest.mark.anyio
FOREVER = 1e12
SHAPE = (2, 3)


class Sums:
    """An engine that sums each window, remembers its batches, and can be held, broken or slow."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.stopped = 0

    def options(self) -> Any:
        return SimpleNamespace(terminate=False)

    def run(self, windows: Any, units: Any, *, options: Any = None) -> Outputs:
        self.batches.append(len(units))
        self.entered.set()
        while not self.gate.wait(0.001):
            if options.terminate:
                self.stopped += 1
                raise RuntimeError("terminated")
        if np.isnan(windows).any():
            raise RuntimeError("poison")
        return {"score": windows.sum(axis=(1, 2)) + units}


class Watcher:
    def __init__(self) -> None:
        self.windows: list[int] = []
        self.spent_seconds: list[float] = []
        self.failures: list[Exception] = []

    def ran(self, windows: int, seconds: float) -> None:
        self.windows.append(windows)

    def spent(self, cpu_seconds: float) -> None:
        assert cpu_seconds >= 0
        self.spent_seconds.append(cpu_seconds)

    def waited(self, seconds: float) -> None:
        assert seconds >= 0

    def failed(self, windows: int, error: Exception) -> None:
        self.failures.append(error)


def params(**changes: Any) -> BatchingParams:
    return BatchingParams(**({"maximum_windows": 8, "maximum_delay_ms": 0, "threads": 1, "device": "cpu"} | changes))


def batcher(engine: Sums, *, limit: int = 1000, inline: bool = True, **options: Any) -> Batcher:
    kwargs = {"queue": Queue(limit), "watcher": Watcher(), "seconds_per_window": 1e-6, "inline": inline}
    return Batcher(engine, options.pop("params", params()), **(kwargs | options))


class Answers:
    """What each request was told, by its number."""

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}

    def to(self, number: int, count: int = 1) -> Callable[[Outputs | RefusedError, int], None]:
        def done(outputs: Outputs | RefusedError, row: int) -> None:
            assert number not in self.found, "answered twice"
            self.found[number] = (
                outputs if isinstance(outputs, RefusedError) else outputs["score"][row : row + count].tolist()
            )

        return done


def windows(number: float, count: int = 1) -> Any:
    return np.full((count, *SHAPE), number, dtype=np.float32)


def units(count: int = 1, unit: int = 0) -> Any:
    return np.full(count, unit, dtype=np.int64)


@pytest.mark.parametrize("inline", [True, False])
@given(counts=st.lists(st.integers(1, 20), min_size=1, max_size=30), seed=st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_every_request_gets_its_own_answer_in_any_order_and_any_size(inline: bool, counts: list[int], seed: int):
    async def scenario() -> None:
        engine, answers = Sums(), Answers()
        one = batcher(engine, inline=inline)
        for number in np.random.default_rng(seed).permutation(len(counts)).tolist():
            count = counts[number]
            one.submit(windows(number, count), units(count), deadline=FOREVER, done=answers.to(number, count))
            if number % 3 == 0:
                await asyncio.sleep(0)
        await one.drain()
        assert answers.found == {number: [number * 6.0] * count for number, count in enumerate(counts)}
        assert max(engine.batches) <= 8
        assert sum(engine.batches) == sum(counts)

    asyncio.run(scenario())


async def test_requests_of_one_turn_share_a_run():
    engine, answers = Sums(), Answers()
    one = batcher(engine)
    for number in range(5):
        one.submit(windows(number), units(), deadline=FOREVER, done=answers.to(number))
    await one.drain()
    assert engine.batches == [5]


async def test_requests_that_arrive_during_a_run_share_the_next_one():
    engine, answers = Sums(), Answers()
    one = batcher(engine, inline=False)
    engine.gate.clear()
    one.submit(windows(0), units(), deadline=FOREVER, done=answers.to(0))
    await asyncio.to_thread(engine.entered.wait)
    for number in range(1, 7):
        one.submit(windows(number), units(), deadline=FOREVER, done=answers.to(number))
        await asyncio.sleep(0)
    engine.gate.set()
    await one.drain()
    assert engine.batches == [1, 6]


async def test_a_large_request_lets_small_ones_in_between():
    engine, answers = Sums(), Answers()
    order: list[int] = []
    one = batcher(engine, inline=False)

    def noted(number: int, count: int) -> Callable[[Any, int], None]:
        tell = answers.to(number, count)

        def done(outputs: Any, row: int) -> None:
            order.append(number)
            tell(outputs, row)

        return done

    one.submit(windows(1, 80), units(80), deadline=FOREVER, done=noted(1, 80))
    one.submit(windows(2), units(), deadline=FOREVER, done=noted(2, 1))
    await one.drain()
    assert order == [2, 1]
    assert answers.found[1] == [6.0] * 80


async def test_a_full_queue_says_no_at_once_and_takes_the_next_when_there_is_room():
    engine, answers = Sums(), Answers()
    one = batcher(engine, limit=4, inline=False)
    engine.gate.clear()
    one.submit(windows(0, 4), units(4), deadline=FOREVER, done=answers.to(0, 4))
    with pytest.raises(RefusedError, match="4 windows wait already") as refusal:
        one.submit(windows(1), units(), deadline=FOREVER, done=answers.to(1))
    assert (refusal.value.status, refusal.value.reason) == (503, "queue")
    assert int(refusal.value.headers["Retry-After"]) >= 1
    engine.gate.set()
    await one.drain()
    one.submit(windows(2), units(), deadline=FOREVER, done=answers.to(2))
    await one.drain()
    assert answers.found == {0: [0.0] * 4, 2: [12.0]}


async def test_a_deadline_in_the_queue_frees_the_place_and_is_told():
    engine, answers = Sums(), Answers()
    queue = Queue(10)
    one = batcher(engine, queue=queue, inline=False)
    engine.gate.clear()
    one.submit(windows(0), units(), deadline=FOREVER, done=answers.to(0))
    await asyncio.to_thread(engine.entered.wait)
    one.submit(windows(1, 5), units(5), deadline=time.monotonic(), done=answers.to(1))
    one.expire(time.monotonic())
    assert (answers.found[1].status, answers.found[1].reason) == (504, "deadline")
    assert queue.windows == 1
    engine.gate.set()
    await one.drain()
    assert (queue.windows, sum(engine.batches)) == (0, 1)


async def test_who_would_wait_too_long_is_sent_away_at_once_and_told_when_to_come_back():
    queue = Queue(1000, share=0.5)
    queue.check(1, seconds=0.001)
    queue.windows, queue.seconds_per_window = 100, 0.02
    queue.check(1, seconds=4.1)
    with pytest.raises(RefusedError, match=r"100 windows .* 2 s, too long for 3\.9 s; ask again in 2 s") as refused:
        queue.check(1, seconds=3.9)
    assert (refused.value.status, refused.value.reason, refused.value.headers) == (503, "queue", {"Retry-After": "2"})


async def test_what_a_window_takes_is_learned_and_decides_who_is_let_in():
    engine, answers = Sums(), Answers()
    queue = Queue(1000, share=0.5)
    one = batcher(engine, queue=queue, inline=False, seconds_per_window=float("inf"))
    engine.gate.clear()
    one.submit(windows(0), units(), deadline=FOREVER, done=answers.to(0))
    await asyncio.to_thread(engine.entered.wait)
    await asyncio.sleep(0.1)
    engine.gate.set()
    while 0 not in answers.found:
        await asyncio.sleep(0.001)
    assert queue.seconds_per_window > 0.09
    engine.entered.clear()
    engine.gate.clear()
    one.submit(windows(1, 4), units(4), deadline=FOREVER, done=answers.to(1, 4))
    with pytest.raises(RefusedError, match="too long"):
        one.submit(windows(2), units(), deadline=time.monotonic() + 0.5, done=answers.to(2))
    one.submit(windows(3), units(), deadline=FOREVER, done=answers.to(3))
    engine.gate.set()
    await one.drain()
    assert sorted(answers.found) == [0, 1, 3]
    assert queue.windows == 0


async def test_a_run_that_nobody_waits_for_is_stopped():
    engine, answers = Sums(), Answers()
    queue = Queue(10)
    one = batcher(engine, queue=queue, inline=False)
    engine.gate.clear()
    tickets = [one.submit(windows(at), units(), deadline=FOREVER, done=answers.to(at)) for at in range(2)]
    await asyncio.to_thread(engine.entered.wait)
    tickets[0].cancel()
    await asyncio.sleep(0.01)
    assert engine.stopped == 0
    tickets[1].cancel()
    tickets[1].cancel()
    await one.drain()
    assert (engine.stopped, answers.found, queue.windows) == (1, {}, 0)


@pytest.mark.parametrize("inline", [True, False])
async def test_a_request_that_breaks_the_graph_harms_nobody_else(inline: bool):
    engine, answers, watcher = Sums(), Answers(), Watcher()
    queue = Queue(100)
    one = batcher(engine, inline=inline, watcher=watcher, queue=queue)
    for number in range(4):
        value = np.nan if number == 2 else number
        one.submit(windows(value), units(), deadline=FOREVER, done=answers.to(number))
    await one.drain()
    refused = answers.found.pop(2)
    assert answers.found == {0: [0.0], 1: [6.0], 3: [18.0]}
    assert (refused.status, refused.reason, "poison" in str(refused)) == (500, "model", False)
    assert [str(error) for error in watcher.failures] == ["poison"]
    assert len(watcher.spent_seconds) > len(watcher.windows), "a run that failed took energy, too"
    assert queue.windows == 0


async def test_a_request_waits_for_others_that_are_arriving_but_not_longer_than_it_may():
    engine, answers = Sums(), Answers()
    arriving = 1
    one = batcher(engine, params=params(maximum_delay_ms=1000), arriving=lambda: arriving)
    one.submit(windows(0), units(), deadline=FOREVER, done=answers.to(0))
    await asyncio.sleep(0.005)
    one.submit(windows(1), units(), deadline=FOREVER, done=answers.to(1))
    await one.drain()
    assert engine.batches == [2]
    arriving = 0
    one.submit(windows(2), units(), deadline=FOREVER, done=answers.to(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert engine.batches == [2, 1]


async def test_a_full_batch_waits_for_nobody():
    engine, answers = Sums(), Answers()
    one = batcher(engine, params=params(maximum_delay_ms=1000), arriving=lambda: 5)
    for number in range(8):
        one.submit(windows(number), units(), deadline=FOREVER, done=answers.to(number))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert engine.batches == [8]
    await one.drain()


async def test_after_draining_no_thread_is_left():
    before = threading.active_count()
    one = batcher(Sums(), inline=False)
    one.submit(windows(0), units(), deadline=FOREVER, done=Answers().to(0))
    await one.drain()
    while threading.active_count() > before:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("inline", [True, False])
async def test_who_cannot_make_a_reply_of_an_answer_takes_nobody_elses_with_it(inline: bool):
    engine, answers, told = Sums(), Answers(), []
    queue = Queue(1000)
    one = batcher(engine, queue=queue, inline=inline)

    def broken(outputs: Outputs | RefusedError, row: int) -> None:
        told.append(outputs)
        raise RuntimeError("no reply")

    for number in range(6):
        done = broken if number % 3 == 0 else answers.to(number)
        one.submit(windows(number), units(), deadline=FOREVER, done=done)
    await one.drain()
    assert answers.found == {number: [number * 6.0] for number in (1, 2, 4, 5)}
    assert [isinstance(one, RefusedError) for one in told] == [False, True] * 2
    assert queue.windows == 0


@pytest.mark.parametrize("inline", [True, False])
async def test_after_a_failed_run_requests_of_any_size_are_tried_alone(inline: bool):
    engine, answers = Sums(), Answers()
    queue = Queue(1000)
    one = batcher(engine, queue=queue, inline=inline)
    sizes = {0: 3, 1: 20, 2: 1, 3: 9}
    for number, count in sizes.items():
        content = windows(np.nan if number == 2 else number, count)
        one.submit(content, units(count), deadline=FOREVER, done=answers.to(number, count))
    await one.drain()
    assert isinstance(answers.found.pop(2), RefusedError)
    assert answers.found == {number: [number * 6.0] * sizes[number] for number in (0, 1, 3)}
    assert queue.windows == 0
