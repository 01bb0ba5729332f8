"""A counter gives what the hardware counted, or an error: never a figure that the hardware cannot have counted."""

import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.energy.meters import MeterError, counter
from wattline.energy.meters.counter import Counter, Source, Watch

RANGE, WATTS = 65_536.0, 400.0


class Hardware:
    """A counter and the clock beside it, both in the hands of the test."""

    def __init__(self, start: float = 0.0, *, range_joules: float | None = RANGE) -> None:
        self.joules, self.seconds, self.range = start, 0.0, range_joules
        self.counter = Counter(self.source())

    def source(self) -> Source:
        return Source(
            name="package-0",
            read=lambda: self.joules,
            range_joules=self.range,
            refresh_seconds=0.001,
            stale_seconds=0.2,
            maximum_watts=WATTS,
        )

    def run(self, joules: float, seconds: float) -> float:
        self.joules = self.joules + joules if self.range is None else (self.joules + joules) % self.range
        self.seconds += seconds
        return self.counter.advance()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time passes when the hardware of the test says so."""
    made = []
    init = Hardware.__init__

    def observed(self, *args, **kwargs):
        made.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(Hardware, "__init__", observed)
    monkeypatch.setattr(counter, "time", SimpleNamespace(monotonic=lambda: made[-1].seconds))


@given(
    start=st.floats(0, RANGE - 1),
    steps=st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.21, RANGE / WATTS * 0.99)), min_size=1, max_size=30),
)
def test_whatever_is_drawn_is_counted_over_any_number_of_wraps(start, steps):
    hardware = Hardware(start)
    total = 0.0
    for share, seconds in steps:
        total += share * WATTS * seconds
        assert hardware.run(share * WATTS * seconds, seconds) == pytest.approx(total)


@given(
    start=st.floats(0, RANGE - 1),
    back=st.floats(1e-3, RANGE),
    seconds=st.floats(0, 10),
)
def test_a_counter_that_goes_back_is_an_error_unless_it_can_have_wrapped(start, back, seconds):
    hardware = Hardware(start)
    hardware.seconds += seconds
    hardware.joules = max(0.0, start - back)
    gone = start - hardware.joules
    if 0 < gone < RANGE - WATTS * (seconds + 0.002) - 1e-6:
        with pytest.raises(MeterError, match=r"package-0 went backwards .* that was no wrap"):
            hardware.counter.advance()


@given(seconds=st.floats(0, 100), factor=st.floats(1.001, 1000))
def test_more_than_the_hardware_can_draw_is_an_error(seconds, factor):
    hardware = Hardware(range_joules=None)
    with pytest.raises(MeterError, match=r"package-0 gained .* over 400 W cannot be"):
        hardware.run(WATTS * (seconds + 0.002) * factor + 1e-6, seconds)


@given(seconds=st.floats(0.2, 1e6))
def test_a_counter_that_stands_still_is_an_error(seconds):
    with pytest.raises(MeterError, match="package-0 stood still for"):
        Hardware(range_joules=None).run(0.0, seconds)


def test_a_counter_that_stops_on_the_way_is_an_error_however_often_it_is_read():
    hardware = Hardware()
    hardware.run(1.0, 0.1)
    for _ in range(3):
        hardware.run(0.0, 0.06)
    with pytest.raises(MeterError, match=r"stood still for 0.24 s"):
        hardware.run(0.0, 0.06)


def test_a_counter_without_wrap_that_goes_back_was_reset():
    hardware = Hardware(1000.0, range_joules=None)
    hardware.joules = 5.0
    hardware.seconds = 1.0
    with pytest.raises(MeterError, match="went backwards from 1000 J to 5 J"):
        hardware.counter.advance()


@pytest.mark.parametrize("drawn", [0.3, 0.99, 1.3])
def test_a_gap_in_which_it_may_have_wrapped_twice_is_an_error_whatever_it_shows(drawn):
    with pytest.raises(MeterError, match=r"not read for 164 s, in which it may have wrapped more than once"):
        Hardware().run(drawn * RANGE, 164.0)


def test_what_goes_wrong_on_the_watch_is_heard_at_the_end():
    def look():
        raise MeterError("the counter caught fire")

    watch = Watch(look, 0.001)
    watch._thread.join(timeout=60)
    watch.finish()
    with pytest.raises(MeterError, match="caught fire"):
        watch.check()


def test_a_watch_that_saw_nothing_is_silent():
    watch = Watch(lambda: None, 0.001)
    time.sleep(0.01)
    watch.finish()
    watch.check()
    assert not watch._thread.is_alive()
