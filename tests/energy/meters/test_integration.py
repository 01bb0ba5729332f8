"""Energy from power readings: right where power is known, within bounds where it is not, refused where it cannot be."""

import math
import threading
import time
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.energy.meters import MeterError
from wattline.energy.meters.integration import STUCK_SAMPLES, Sample, Sampler, integrate, step


def steady(watts=100.0, *, first=0.0, count=11, interval=1.0):
    """Samples of a power that trembles in the last digit, as real power does."""
    return [Sample(first + i * interval, watts + (1e-9 if i % 2 else 0.0)) for i in range(count)]


def over(samples, start=0.0, stop=10.0, interval=1.0, **options):
    return integrate(samples, start=start, stop=stop, interval_seconds=interval, **options)


def test_steady_power_is_watts_times_seconds():
    found = over(steady())
    assert found.joules == pytest.approx(1000)
    assert found.low == pytest.approx(1000)
    assert found.high == pytest.approx(1000)


def test_a_ramp_is_exact_and_its_bounds_are_the_steps_below_and_above():
    found = over([Sample(float(i), 10.0 * i) for i in range(11)])
    assert found.joules == pytest.approx(500)
    assert (found.low, found.high) == (450, 550)


def test_a_window_between_samples_takes_the_line_through_them():
    found = over([Sample(float(i), 10.0 * i) for i in range(12)], start=0.5, stop=10.5)
    assert found.joules == pytest.approx((5 + 105) / 2 * 10)


def test_samples_outside_of_the_window_do_not_count():
    inside = steady()
    around = [Sample(-2.0, 9000.0), Sample(-1.0, 8000.0), *inside, Sample(11.0, 7000.0), Sample(12.0, 6000.0)]
    assert over(around) == over(inside)


def test_an_end_without_a_sample_beyond_it_widens_the_bounds():
    samples = [Sample(1.0, 100.0), Sample(2.0, 120.0), Sample(3.0, 110.0), Sample(4.0, 100.0)]
    found = over(samples, start=0.0, stop=5.0)
    inner = over(samples, start=1.0, stop=4.0)
    assert found.joules == inner.joules + 200
    assert found.low == inner.low + 200
    assert found.high == inner.high + 2 * 120


def test_the_step_of_a_reading_and_its_age_widen_the_bounds():
    samples = [Sample(float(i), 100.0 + 50 * (i % 2)) for i in range(11)]
    plain, coarse, old = over(samples), over(samples, resolution_watts=2.0), over(samples, lag_seconds=0.5)
    assert coarse.high - plain.high == plain.low - coarse.low == 10
    assert old.high - plain.high == plain.low - old.low == 25
    assert plain.joules == coarse.joules == old.joules


@given(
    rise=st.floats(0.2, 9.8), fall=st.floats(0.2, 9.8), phase=st.floats(0, 0.999),
    high=st.floats(1, 1000), low=st.floats(0.1, 1),
)  # fmt: skip
def test_power_that_jumps_twice_stays_within_the_bounds(rise, fall, phase, high, low):
    rise, fall = sorted((rise, fall))
    samples = [Sample(i + phase - 1, high if rise <= i + phase - 1 < fall else low) for i in range(13)]
    true = (fall - rise) * high + (10 - fall + rise) * low
    found = over(samples)
    if any(sample.watts == high for sample in samples) or fall == rise:
        assert found.low - 1e-6 <= true <= found.high + 1e-6
        # What the rule in `minimum_seconds` promises: half an interval at each jump.
        assert abs(found.joules - true) <= (high - low) * 1.0 + 1e-6


def test_a_lost_sample_is_bridged_and_three_are_not():
    samples = steady(count=21)
    assert over(samples[:5] + samples[6:], stop=20.0).joules == pytest.approx(2000)
    with pytest.raises(MeterError, match="no reading of power for 4 s where one is due every 1 s"):
        over(samples[:5] + samples[8:], stop=20.0)


@pytest.mark.parametrize(("start", "stop"), [(-4.0, 10.0), (0.0, 14.0)], ids=["start", "end"])
def test_a_series_that_does_not_reach_an_end_is_refused(start, stop):
    with pytest.raises(MeterError, match="no reading of power for 4 s"):
        over(steady(), start=start, stop=stop)


@pytest.mark.parametrize("watts", [math.nan, math.inf, -math.inf, -1.0, -1e-9])
def test_a_reading_that_no_machine_has_is_refused(watts):
    samples = steady()
    samples[5] = Sample(5.0, watts)
    with pytest.raises(MeterError, match="no machine draws that"):
        over(samples)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_readings_are_refused(count):
    with pytest.raises(MeterError, match=f"{count} readings of power in 2 s, 3 are needed"):
        over(steady(count=count), stop=2.0)


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 1, 1, 3)], ids=["backwards", "twice"])
def test_times_out_of_order_are_refused(order):
    with pytest.raises(MeterError, match="not in the order of their times"):
        over([Sample(float(i), 100.0 + i) for i in order], stop=3.0)


def test_a_time_that_is_none_is_refused():
    with pytest.raises(MeterError, match="not in the order of their times"):
        over([Sample(0.0, 100.0), Sample(math.nan, 100.0), Sample(2.0, 100.0), Sample(3.0, 1.0)], stop=3.0)


def test_a_sensor_that_repeats_itself_to_the_bit_is_stuck():
    stuck = [Sample(float(i), 118.0) for i in range(STUCK_SAMPLES)]
    with pytest.raises(MeterError, match=r"100 readings of power in a row are 118.0 W to the bit"):
        over(stuck, stop=99.0)
    assert over([*stuck[:-1], Sample(99.0, 119.0)], stop=99.0).joules > 0


def test_nothing_but_zero_is_no_measurement():
    with pytest.raises(MeterError, match="all readings of power are 0 W"):
        over([Sample(float(i), 0.0) for i in range(11)])


@pytest.mark.parametrize("stop", [0.0, -1.0])
def test_a_window_without_length_is_refused(stop):
    with pytest.raises(MeterError, match="before it starts"):
        over(steady(), stop=stop)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [(["118"], 1.0), (["118", "120.25"], 0.01), (["1E+3"], 1.0), (["NaN"], 1.0), ([], 1.0), (["1E-999999"], 0.0)],
)
def test_the_step_of_a_number_is_that_of_its_digits(numbers, expected):
    assert step([Decimal(number) for number in numbers]) == pytest.approx(expected)


def test_a_sampler_reads_at_once_again_and_again_and_at_the_end():
    read = threading.Semaphore(0)

    def watts():
        read.release()
        return 100.0

    sampler = Sampler(watts, 0.01)
    began = time.monotonic()
    for _ in range(5):
        assert read.acquire(timeout=60)
    ended = time.monotonic()
    samples = sampler.finish()
    assert samples[0].seconds <= began
    assert samples[-1].seconds >= ended
    assert len(samples) >= 6
    assert [sample.seconds for sample in samples] == sorted(sample.seconds for sample in samples)
    assert not [thread for thread in threading.enumerate() if thread.name == "power-sampler"]


def test_a_sensor_that_fails_at_once_fails_at_the_start():
    def watts():
        raise MeterError("gone")

    with pytest.raises(MeterError, match="gone"):
        Sampler(watts, 0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "power-sampler"]


@pytest.mark.parametrize("error", [MeterError("gone"), OSError("gone"), ZeroDivisionError("gone")])
def test_a_sensor_that_fails_on_the_way_fails_at_the_end_also_when_it_came_back(error):
    answers = iter([100.0, error])
    failed = threading.Event()

    def watts():
        answer = next(answers, 100.0)
        if isinstance(answer, Exception):
            failed.set()
            raise answer
        return answer

    sampler = Sampler(watts, 0.01)
    assert failed.wait(60)
    with pytest.raises(type(error), match="gone"):
        sampler.finish()


def test_a_slow_sensor_is_read_without_catching_up():
    def watts():
        time.sleep(0.03)
        return 100.0

    sampler = Sampler(watts, 0.001)
    time.sleep(0.2)
    samples = sampler.finish()
    assert sampler.slowest_seconds >= 0.03
    assert all(after.seconds - before.seconds >= 0.03 for before, after in pairwise(samples))
