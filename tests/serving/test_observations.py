"""Samples that were accepted are kept: across restarts, kills, model swaps, and whichever worker got them."""

import random
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.serving import observing
from tests.serving.observing import (
    COLUMNS,
    SIGNATURE,
    STEPS,
    UNITS,
    batch,
    feed,
    opened,
    sample,
    signature,
    started,
    truth,
)
from tests.serving.plain_windows import PlainUnit
from wattline.records import Signature
from wattline.serving.observing import file as observation_file
from wattline.serving.observing.observations import EPOCH, MICROSECOND, Observations, Observed, Sample
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

SMALL = signature(steps=4)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "observe.db")


@pytest.fixture
def store(path: str) -> Iterator[Observations]:
    store = opened(path)
    yield store
    store.close()


def release(child: subprocess.Popen[str]) -> None:
    """Let a process begin that waits for a line."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def assert_complete(observed: list[Observed], newest: int) -> None:
    for one, unit in zip(observed, UNITS, strict=True):
        assert (one.unit, one.state, one.have, one.missing) == (unit, "complete", STEPS, 0)
        assert one.window is not None
        assert one.window.dtype == np.float32
        np.testing.assert_array_equal(one.window, truth(unit, newest))


def test_windows_fill_and_are_then_given_with_every_sample(store: Observations):
    for step in range(STEPS - 1):
        observed = store.observe(batch(step), SIGNATURE)
        assert [(one.state, one.have, one.need, one.window) for one in observed] == [
            ("filling", step + 1, STEPS, None)
        ] * len(UNITS)
    for step in range(STEPS - 1, STEPS + 80):
        assert_complete(store.observe(batch(step), SIGNATURE), step)


def test_what_was_observed_survives_a_restart(path: str):
    store = opened(path)
    feed(store, range(STEPS - 1))
    store.close()
    store = opened(path)
    assert_complete(store.observe(batch(STEPS - 1), SIGNATURE), STEPS - 1)
    store.close()


def test_a_retry_is_answered_like_the_first_time(store: Observations):
    feed(store, range(STEPS - 1))
    first = store.observe(batch(STEPS - 1), SIGNATURE)
    again = store.observe(batch(STEPS - 1), SIGNATURE)
    assert_complete(again, STEPS - 1)
    assert [(one.state, one.have, one.missing, one.note) for one in first] == [
        (one.state, one.have, one.missing, one.note) for one in again
    ]


def test_another_value_for_the_newest_step_is_scored_and_said_to_replace(store: Observations):
    feed(store, range(STEPS))
    changed = Sample("node-01", sample("node-01", STEPS - 1).timestamp, np.zeros(len(COLUMNS), np.float32))
    (observed,) = store.observe([changed], SIGNATURE)
    assert observed.state == "complete"
    assert "replaces another sample" in observed.note
    assert observed.window is not None
    assert not observed.window[-1].any()


def test_late_samples_are_merged_and_those_too_late_are_named_not_raised(store: Observations):
    feed(store, range(STEPS))
    late, lost = sample("node-01", STEPS + 1), sample("node-02", -1000)
    store.observe([sample("node-01", STEPS + 2)], SIGNATURE)
    observed = store.observe([late, lost], SIGNATURE)
    assert [(one.unit, one.state, one.window) for one in observed] == [
        ("node-01", "late", None),
        ("node-02", "ignored", None),
    ]
    assert "older than the window" in observed[1].note
    store.observe([sample("node-01", STEPS)], SIGNATURE)
    (newest,) = store.observe([sample("node-01", STEPS + 3)], SIGNATURE)
    assert newest.missing == 0
    np.testing.assert_array_equal(newest.window, truth("node-01", STEPS + 3))


def test_a_batch_with_a_backlog_in_any_order_gives_the_window_of_each_sample(store: Observations):
    feed(store, range(STEPS))
    steps = [STEPS + 3, STEPS, STEPS + 2, STEPS + 1]
    for step, one in zip(steps, store.observe([sample("node-77", step) for step in steps], SIGNATURE), strict=True):
        assert one.state == "complete"
        np.testing.assert_array_equal(one.window, truth("node-77", step))


def test_windows_are_the_callers_own(store: Observations):
    feed(store, range(STEPS))
    first, second = (store.observe(batch(STEPS), SIGNATURE)[0].window for _ in range(2))
    assert first is not None
    first[:] = 0
    np.testing.assert_array_equal(second, truth("node-01", STEPS))


@pytest.mark.parametrize("unit", ["\0", "a\0b", "\u00fc\U0001f600", "'; DROP TABLE unit; --", " ", "x" * 200])
def test_a_unit_is_known_by_its_exact_name(store: Observations, unit: str):
    def state(name: str, step: int) -> int:
        one = Sample(name, sample("node-01", step).timestamp, np.zeros(3, np.float32))
        return store.observe([one], SIGNATURE)[0].have

    state(unit, 0)
    assert state(unit, 1) == 2
    assert state(unit + ".", 1) == 1
    assert state(unit[:1] + unit, 1) == 1


def test_a_swap_to_a_model_with_other_columns_and_longer_windows_keeps_what_fits(store: Observations):
    feed(store, range(STEPS))
    columns = (COLUMNS[1], COLUMNS[0].model_copy(update={"name": "fan"}), COLUMNS[0])
    larger = signature(columns, steps=STEPS + 2)
    newest = Sample("node-01", sample("node-01", STEPS).timestamp, np.array([1, 2, 3], np.float32))
    (filling,) = store.observe([newest], larger)
    assert (filling.state, filling.have) == ("filling", STEPS + 1)
    (complete,) = store.observe([Sample("node-01", sample("node-01", STEPS + 1).timestamp, newest.values)], larger)
    assert complete.window is not None
    kept = np.stack([observing.values("node-01", step) for step in range(STEPS)])
    np.testing.assert_array_equal(complete.window[:STEPS, [0, 2]], kept[:, [1, 0]])
    assert np.isnan(complete.window[:STEPS, 1]).all()
    np.testing.assert_array_equal(complete.window[STEPS:], [[1, 2, 3], [1, 2, 3]])


def test_a_rollback_of_the_model_finds_its_columns_again(store: Observations):
    feed(store, range(STEPS))
    reordered = signature(tuple(reversed(COLUMNS)), steps=STEPS)
    swapped = Sample("node-01", sample("node-01", STEPS).timestamp, observing.values("node-01", STEPS)[::-1].copy())
    store.observe([swapped], reordered)
    (observed,) = store.observe([sample("node-01", STEPS + 1)], SIGNATURE)
    np.testing.assert_array_equal(observed.window, truth("node-01", STEPS + 1))


def test_the_least_recently_seen_units_are_forgotten_and_counted(path: str):
    store = opened(path, maximum_units=3)
    store.observe([sample(f"node-{number}", 0) for number in (1, 2, 3)], SIGNATURE)
    store.observe([sample("node-1", 1)], SIGNATURE)
    store.observe([sample("node-4", 1)], SIGNATURE)
    assert store.forgotten == 1
    have = {one.unit: one.have for one in store.observe([sample(f"node-{n}", 2) for n in (1, 3, 4)], SIGNATURE)}
    assert have == {"node-1": 3, "node-3": 3, "node-4": 2}
    assert store.observe([sample("node-2", 2)], SIGNATURE)[0].have == 1
    store.observe([sample(f"node-{number}", 3) for number in range(10, 30)], SIGNATURE)
    assert store.forgotten == 2 + 20
    store.close()


def test_nothing_of_a_failed_batch_is_stored(store: Observations):
    feed(store, range(STEPS))
    bad = Sample("node-77", sample("node-77", STEPS).timestamp, None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        store.observe([*batch(STEPS)[:2], bad], SIGNATURE)
    assert_complete(store.observe(batch(STEPS), SIGNATURE), STEPS)
    assert {one.note for one in store.observe(batch(STEPS), SIGNATURE)} == {""}


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_leaves_every_unit_before_or_after_the_same_sample(path: str, seed: int):
    child = started(path, first=0, stride=1, count=100_000)
    release(child)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    for _ in range(random.Random(seed).randrange(STEPS, 2 * STEPS)):
        acknowledged = int(child.stdout.readline())
    child.kill()
    with child:
        rest = child.stdout.read()
    assert child.returncode == -signal.SIGKILL
    # The last line may be cut off; what stands before it was acknowledged.
    acknowledged = max([acknowledged, *map(int, rest.split("\n")[:-1])])
    store = opened(path)
    states = {one.state for one in store.observe(batch(acknowledged), SIGNATURE)}
    assert states in ({"complete"}, {"late"})
    stored = acknowledged + (states == {"late"})
    assert_complete(store.observe(batch(stored), SIGNATURE), stored)
    assert_complete(store.observe(batch(stored + 1), SIGNATURE), stored + 1)
    store.close()


def test_two_processes_that_interleave_samples_of_the_same_units_lose_none(path: str):
    children = [started(path, first=first, stride=2, count=STEPS // 2) for first in (0, 1)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        release(child)
    for child in children:
        child.communicate(timeout=240)
        assert child.returncode == 0
    store = opened(path)
    observed = store.observe(batch(STEPS), SIGNATURE)
    assert_complete(observed, STEPS)
    store.close()


def test_two_stores_in_turn_see_each_others_samples(path: str):
    stores = [opened(path), opened(path)]
    for step in range(STEPS):
        observed = stores[step % 2].observe(batch(step), SIGNATURE)
    assert_complete(observed, STEPS - 1)
    for store in stores:
        store.close()


def test_a_file_that_is_locked_for_long_is_a_503_and_nothing_is_stored(path: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(observation_file, "BUSY_SECONDS", 0.05)
    store = opened(path)
    feed(store, range(STEPS))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RefusedError, match="locked") as caught:
        store.observe(batch(STEPS), SIGNATURE)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    other.execute("ROLLBACK")
    other.close()
    assert_complete(store.observe(batch(STEPS), SIGNATURE), STEPS)
    store.close()


def test_a_full_disk_is_a_503_and_nothing_is_stored(path: str):
    store = opened(path)
    feed(store, range(STEPS))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [sample(f"node-{number}", STEPS) for number in range(100, 200)]
    with pytest.raises(RefusedError, match="full") as caught:
        store.observe([*batch(STEPS), *many], SIGNATURE)
    assert caught.value.status == 503
    assert {one.note for one in store.observe(batch(STEPS), SIGNATURE)} == {""}
    assert_complete(store.observe(batch(STEPS), SIGNATURE), STEPS)
    store.close()


class AgreesWithDictionaries(RuleBasedStateMachine):
    """Samples, restarts, other workers and swaps of the model in any order, against dictionaries and loops."""

    maximum_units = 3
    models: ClassVar[Mapping[str, Signature]] = {
        "small": SMALL,
        "longer": signature(steps=7),
        "shorter": signature(COLUMNS[:2], steps=2),
        "others": signature((COLUMNS[2], COLUMNS[0].model_copy(update={"name": "fan"})), steps=4),
        "faster": SMALL.model_copy(update={"cadence_seconds": 30.0}),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = str(folder / f"{len(list(folder.iterdir()))}.db")
        self.stores: list[Observations] = []
        self.signature, self.minute = SMALL, 100
        self.plain: dict[str, PlainUnit] = {}
        self.seen: dict[str, tuple[int, int]] = {}
        self.made = count()

    @initialize(gap_steps=st.integers(0, 5))
    def start(self, gap_steps: int) -> None:
        self.gap_steps = gap_steps
        self.stores = [self.open(), self.open()]

    def open(self) -> Observations:
        return opened(self.path, gap_steps=self.gap_steps, maximum_units=self.maximum_units)

    @rule(name=st.sampled_from(list(models)))
    def swap(self, name: str) -> None:
        self.signature = self.models[name]

    @rule(number=st.integers(0, 1))
    def restart(self, number: int) -> None:
        self.stores[number].close()
        self.stores[number] = self.open()

    @rule(minutes=st.integers(1, 30))
    def wait(self, minutes: int) -> None:
        self.minute += minutes

    @rule(
        number=st.integers(0, 1),
        sent=st.lists(
            st.tuples(st.sampled_from("abcd"), st.integers(-24, 4), st.integers(0, 2)), min_size=1, max_size=6
        ),
    )
    def observe(self, number: int, sent: list[tuple[str, int, int]]) -> None:
        width = len(self.signature.columns)
        samples = [
            Sample(unit, observing.START + (4 * self.minute + quarter) * timedelta(seconds=15), measured(kind, width))
            for unit, quarter, kind in sent
        ]
        observed = self.stores[number].observe(samples, self.signature)
        self.minute += 1
        units = list(dict.fromkeys(sample.unit for sample in samples))
        for unit in units:
            self.plain.setdefault(unit, PlainUnit(self.signature, self.gap_steps)).change(self.signature)
        for at in sorted(range(len(samples)), key=lambda at: samples[at].timestamp):
            self.compare(samples[at], observed[at])
        self.forget(units)

    def compare(self, sent: Sample, observed: Observed) -> None:
        plain, need = self.plain[sent.unit], self.signature.steps
        state, note = plain.put((sent.timestamp - EPOCH) // MICROSECOND, sent.values)
        have, missing, window = plain.window()
        if state == "window":
            state = "complete" if have == need else "filling"
        assert (observed.unit, observed.timestamp, observed.state) == (sent.unit, sent.timestamp, state)
        assert (observed.have, observed.need, observed.missing) == (have, need, missing)
        assert note in observed.note
        assert bool(note) == bool(observed.note)
        assert (observed.window is not None) == (state == "complete")
        if observed.window is not None:
            np.testing.assert_array_equal(observed.window, window)

    def forget(self, units: list[str]) -> None:
        """Least recently seen first; of those that were seen by the same request, the one that was made first."""
        moment = 1 + max((moment for moment, _ in self.seen.values()), default=0)
        for unit in units:
            self.seen[unit] = moment, self.seen[unit][1] if unit in self.seen else next(self.made)
        while len(self.seen) > self.maximum_units:
            oldest = min(self.seen, key=self.seen.__getitem__)
            del self.seen[oldest], self.plain[oldest]

    def teardown(self) -> None:
        for store in self.stores:
            store.close()


def measured(kind: int, width: int) -> FloatArray:
    return np.array([np.nan if kind == 2 else 10 * kind + place for place in range(width)], np.float32)


def test_any_sequence_of_events_agrees_with_dictionaries_and_loops(tmp_path: Path):
    run_state_machine_as_test(
        lambda: AgreesWithDictionaries(tmp_path),
        settings=settings(max_examples=20, stateful_step_count=30, deadline=None),
    )
