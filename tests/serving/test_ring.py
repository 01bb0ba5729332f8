"""Whatever the order in which samples come, a window holds what was measured, each value at its step."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.observing import COLUMNS, signature
from tests.serving.plain_windows import SECOND, PlainUnit
from wattline.serving.observing.ring import VALUE, Layout, Ring
from wattline.task import FloatArray

GAP = 2
STEPS = 4
SIGNATURE = signature(steps=STEPS)
LAYOUT = Layout.of(SIGNATURE, gap_steps=GAP)
START = 1_800_000_000 * SECOND
CADENCE = 60 * SECOND


def row(step: float) -> bytes:
    return values(step).tobytes()


def values(step: float) -> FloatArray:
    return np.array([step, 10 * step, 100 * step], np.float32)


def at(step: float) -> int:
    return START + round(step * CADENCE)


def fed(*steps: float) -> Ring:
    ring = Ring.empty(LAYOUT)
    for step in steps:
        ring.put(at(step), row(round(step)))
    return ring


def expected(*steps: float | None) -> FloatArray:
    return np.stack([values(np.nan if step is None else step) for step in steps])


def same(ring: Ring, other: Ring) -> bool:
    return ring.history() == other.history() and np.array_equal(ring.window(), other.window(), equal_nan=True)


def test_a_window_fills_step_by_step_and_then_slides():
    ring = Ring.empty(LAYOUT)
    for step in range(20):
        assert ring.put(at(step), row(step)) == "newest"
        assert ring.history() == (min(step + 1, STEPS), 0)
        if step >= STEPS - 1:
            np.testing.assert_array_equal(ring.window(), expected(*range(step - STEPS + 1, step + 1)))


@pytest.mark.parametrize("order", list(itertools.permutations(range(5, 10))))
def test_samples_in_any_order_end_in_the_same_window(order: tuple[int, ...]):
    assert same(fed(*range(5), *order), fed(*range(10)))


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_shuffled_late_and_duplicated_samples_with_jitter_end_like_the_sorted_series(data: st.DataObject):
    present = sorted(data.draw(st.sets(st.integers(0, 25), min_size=1)))
    jitter = data.draw(st.lists(st.floats(-0.24, 0.24), min_size=len(present), max_size=len(present)))
    series = [(at(step + off), row(step)) for step, off in zip(present, jitter, strict=True)]
    sent = series + data.draw(st.lists(st.sampled_from(series), max_size=10))
    tidy, untidy = Ring.empty(LAYOUT), Ring.empty(LAYOUT)
    for sample in series:
        tidy.put(*sample)
    for sample in data.draw(st.permutations(sent)):
        untidy.put(*sample)
    assert same(tidy, untidy)
    newest = present[-1]
    truth = [step if step in present else None for step in range(newest - STEPS + 1, newest + 1)]
    np.testing.assert_array_equal(untidy.window(), expected(*truth))


@settings(deadline=None, max_examples=200)
@given(
    times=st.lists(st.integers(0, 30 * 4).map(lambda quarter: at(quarter / 4)), min_size=1, max_size=40),
    gap=st.integers(0, 6),
    picks=st.randoms(use_true_random=False),
)
def test_any_sequence_of_samples_agrees_with_dictionaries_and_loops(times: list[int], gap: int, picks: random.Random):
    ring, plain = Ring.empty(Layout.of(SIGNATURE, gap_steps=gap)), PlainUnit(SIGNATURE, gap)
    for time in times:
        sample = values(picks.randrange(3))
        placed = ring.put(time, sample.tobytes())
        state, note = plain.put(time, sample)
        states = {"late": "late", "late, replaced": "late", "superseded": "ignored", "expired": "ignored"}
        assert states.get(placed, "window") == state
        assert ("replaced" in placed) == (note == "replaces")
        have, missing, window = plain.window()
        assert ring.history() == (have, missing)
        np.testing.assert_array_equal(ring.window(), window)


def test_a_sample_within_half_a_cadence_of_a_step_is_that_step():
    ring = fed(0, 1, 2, 3)
    assert ring.put(at(4 - 0.49), row(4)) == "newest"
    np.testing.assert_array_equal(ring.window(), expected(1, 2, 3, 4))
    assert ring.put(at(5 + 0.2), row(5)) == "newest"
    np.testing.assert_array_equal(ring.window(), expected(2, 3, 4, 5))


def test_a_unit_that_samples_at_half_past_is_as_welcome_as_one_that_samples_on_the_minute():
    ring = fed(*(step + 0.5 + 0.01 * (-1) ** step for step in range(10)))
    assert ring.history() == (STEPS, 0)


def test_a_sender_that_drifts_loses_no_step():
    ring = Ring.empty(LAYOUT)
    for step in range(500):
        assert ring.put(at(step * 1.004), row(step)) == "newest"
        assert ring.history() == (min(step + 1, STEPS), 0)
    np.testing.assert_array_equal(ring.window(), expected(496, 497, 498, 499))


def test_a_sender_that_restarts_between_two_steps_does_not_collide_with_itself():
    ring = fed(0, 1, 2, 3)
    for step in range(4, 30):
        assert ring.put(at(step + 0.5 + 0.02 * (-1) ** step), row(step)) == "newest"
    assert ring.history() == (STEPS, 0)
    np.testing.assert_array_equal(ring.window(), expected(26, 27, 28, 29))


def test_a_sender_that_is_faster_than_the_cadence_gives_its_last_sample_of_each_step():
    ring = fed(*(third / 3 for third in range(30)))
    np.testing.assert_array_equal(np.diff(ring.window()[:, 0]), [1, 1, 1])


def test_a_retry_changes_nothing():
    ring, again = fed(0, 1, 2, 3, 4), fed(0, 1, 2, 3, 4)
    assert again.put(at(4), row(4)) == "newest"
    assert again.put(at(2), row(2)) == "late"
    assert again == ring


def test_a_late_retry_finds_its_step_even_after_the_grid_has_moved():
    ring = fed(0, 1, 2, 3 + 0.49)
    before = ring.window()
    assert ring.put(at(1), row(1)) == "late"
    np.testing.assert_array_equal(ring.window(), before)


def test_other_values_for_a_step_replace_it_and_are_said_to():
    ring = fed(0, 1, 2, 3, 4)
    assert ring.put(at(4), row(40)) == "replaced"
    assert ring.put(at(2), row(20)) == "late, replaced"
    np.testing.assert_array_equal(ring.window(), expected(1, 20, 3, 40))


def test_of_two_samples_in_a_step_the_later_one_stays_whichever_comes_first():
    early, late = (at(4), row(4)), (at(4.2), row(42))
    ring = fed(0, 1, 2, 3)
    assert (ring.put(*early), ring.put(*late)) == ("newest", "replaced")
    other = fed(0, 1, 2, 3)
    assert (other.put(*late), other.put(*early)) == ("newest", "superseded")
    assert same(ring, other)
    np.testing.assert_array_equal(ring.window()[-1], values(42))


def test_missing_values_are_equal_to_themselves():
    ring = fed(0, 1, 2, 3)
    ring.put(at(4), row(np.nan))
    assert ring.put(at(4), row(np.nan)) == "newest"


@pytest.mark.parametrize("missing", range(1, GAP + 1))
def test_a_short_gap_is_filled_with_nulls(missing: int):
    newest = 4 + missing
    ring = fed(0, 1, 2, 3, newest)
    assert ring.history() == (STEPS, missing)
    np.testing.assert_array_equal(ring.window(), expected(*range(newest - 3, 4), *[None] * missing, newest)[-STEPS:])
    for step in range(1, 10):
        ring.put(at(newest + step), row(newest + step))
        assert ring.history()[0] == STEPS


def test_a_longer_gap_starts_the_window_anew():
    ring = fed(0, 1, 2, 3, 4 + GAP + 1)
    assert ring.history() == (1, 0)
    for step in range(1, STEPS):
        ring.put(at(4 + GAP + 1 + step), row(step))
        assert ring.history() == (1 + step, 0)


def test_a_gap_that_is_filled_in_later_was_none():
    assert same(fed(0, 1, 2, 3, 8, 7, 6, 5, 4), fed(*range(9)))


def test_a_year_of_silence_starts_the_window_anew_at_any_second():
    ring = fed(0, 1, 2, 3)
    for step in range(STEPS):
        ring.put(at(525_600.37 + step), row(step))
        assert ring.history() == (step + 1, 0)


def test_samples_older_than_anything_that_matters_are_not_kept():
    ring, before = fed(*range(20)), fed(*range(20))
    assert ring.put(at(19 - STEPS - GAP), row(1000)) == "expired"
    assert ring.put(at(-1_000_000), row(1000)) == "expired"
    assert ring == before


def test_without_gap_steps_every_missing_step_starts_anew():
    ring = Ring.empty(Layout.of(SIGNATURE, gap_steps=0))
    for step in (0, 1, 2, 3, 5):
        ring.put(at(step), row(step))
    assert ring.history() == (1, 0)


def test_a_gap_is_never_longer_than_a_window_whatever_the_params_say():
    layout = Layout.of(SIGNATURE, gap_steps=1_000_000)
    assert layout.capacity < 2 * STEPS


def test_a_window_of_one_step_is_complete_at_once():
    ring = Ring.empty(Layout.of(signature(steps=1), gap_steps=3))
    for step in (0, 1, 50):
        ring.put(at(step), row(step))
        assert ring.history() == (1, 0)
        np.testing.assert_array_equal(ring.window(), expected(step))


def test_another_model_keeps_the_columns_that_it_shares():
    columns = (COLUMNS[2], COLUMNS[0].model_copy(update={"name": "fan"}), COLUMNS[0])
    ring = fed(*range(8)).converted(Layout.of(signature(columns, steps=STEPS), gap_steps=GAP))
    assert ring.history() == (STEPS, 0)
    truth = expected(4, 5, 6, 7)
    np.testing.assert_array_equal(ring.window()[:, [0, 2]], truth[:, [2, 0]])
    assert np.isnan(ring.window()[:, 1]).all()


def test_a_column_that_changed_its_unit_of_measure_is_another_column():
    columns = (COLUMNS[0].model_copy(update={"unit": "kW"}), *COLUMNS[1:])
    window = fed(*range(8)).converted(Layout.of(signature(columns, steps=STEPS), gap_steps=GAP)).window()
    assert np.isnan(window[:, 0]).all()
    assert np.isfinite(window[:, 1:]).all()


def test_a_model_with_longer_windows_goes_on_filling_them():
    ring = fed(*range(4)).converted(Layout.of(signature(steps=6), gap_steps=GAP))
    assert ring.history() == (4, 0)
    ring.put(at(4), row(4))
    ring.put(at(5), row(5))
    assert ring.history() == (6, 0)
    np.testing.assert_array_equal(ring.window(), expected(*range(6)))


def test_a_model_with_shorter_windows_is_answered_at_once():
    ring = fed(*range(4)).converted(Layout.of(signature(steps=2), gap_steps=GAP))
    assert ring.history() == (2, 0)
    np.testing.assert_array_equal(ring.window(), expected(2, 3))


def test_a_model_of_another_cadence_starts_anew():
    other = SIGNATURE.model_copy(update={"cadence_seconds": 30.0})
    ring = fed(*range(8)).converted(Layout.of(other, gap_steps=GAP))
    assert ring == Ring.empty(Layout.of(other, gap_steps=GAP))


def test_a_layout_survives_its_text():
    assert Layout.from_json(LAYOUT.text) == LAYOUT
    assert Layout.from_json(LAYOUT.text).text == LAYOUT.text


def test_a_sample_changes_few_bytes():
    ring = fed(*range(20))
    rows = bytes(ring.rows)
    ring.put(at(20), row(20))
    assert sum(a != b for a, b in zip(rows, ring.rows, strict=True)) <= len(COLUMNS) * VALUE.itemsize
