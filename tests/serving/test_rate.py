"""Nobody gets more than their rate, everybody gets it, and memory stays bounded however many callers there are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.issuers import Clock
from wattline.serving.access.rate import FEW, Rate


def test_without_a_limit_nothing_is_refused_and_nothing_is_kept():
    rate = Rate(0, 1, clock=Clock())
    assert {rate.spend("alice") for _ in range(10_000)} == {0.0}
    assert len(rate) == 0


@pytest.mark.parametrize("burst", [1, 2, 100])
def test_a_burst_is_granted_at_once_and_not_one_more(burst: int):
    rate = Rate(10, burst, clock=Clock())
    assert [rate.spend("alice") for _ in range(burst)] == [0.0] * burst
    assert rate.spend("alice") == pytest.approx(0.1, abs=1e-4)


def test_a_refused_request_costs_nothing_and_the_announced_wait_is_enough():
    clock = Clock(0)
    rate = Rate(4, 1, clock=clock)
    assert rate.spend("alice") == 0
    waits = [rate.spend("alice") for _ in range(50)]
    assert len(set(waits)) == 1
    clock.value += waits[0]
    assert rate.spend("alice") == 0


def test_one_caller_does_not_spend_what_another_has():
    rate = Rate(1, 1, clock=Clock())
    assert rate.spend("alice") == 0
    assert rate.spend("alice") > 0
    assert rate.spend("bob") == 0


def test_a_bucket_does_not_hold_more_than_its_burst_however_long_nobody_asked():
    clock = Clock()
    rate = Rate(100, 3, clock=clock)
    rate.spend("alice")
    clock.value += 1_000_000
    assert [rate.spend("alice") > 0 for _ in range(4)] == [False, False, False, True]


def test_memory_is_bounded_by_the_callers_of_the_last_seconds():
    clock = Clock()
    rate = Rate(1, 2, clock=clock)
    for number in range(20 * FEW):
        clock.value += 0.01
        rate.spend(f"caller {number}")
    assert len(rate) <= FEW + 1


def test_forgetting_full_buckets_forgets_no_debt():
    clock = Clock()
    rate = Rate(0.001, 1, clock=clock)
    names = [f"caller {number}" for number in range(4 * FEW)]
    assert {rate.spend(name) for name in names} == {0.0}
    assert all(rate.spend(name) > 0 for name in names)


@given(
    gaps=st.lists(st.floats(0, 3), max_size=200),
    per_second=st.floats(0.01, 1000),
    burst=st.integers(1, 20),
    start=st.sampled_from([0.0, 1e6, 1e9]),
)
def test_in_no_stretch_of_time_more_than_burst_and_rate_allow(gaps, per_second, burst, start):
    clock = Clock(start)
    rate = Rate(per_second, burst, clock=clock)
    granted = []
    for gap in gaps:
        clock.value += gap
        if not rate.spend("alice"):
            granted.append(clock.value)
    for first, begin in enumerate(granted):
        allowed = burst + (granted[-1] - begin + 1e-5) * per_second
        assert len(granted) - first <= math.floor(allowed + 1e-6)
