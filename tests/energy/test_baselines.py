"""Energy of baselines: real work, read by a real meter, for the same rows in every sample."""

import numpy as np
import pytest
from builders import series

from wattline.energy import baselines
from wattline.energy.meters import MeterError
from wattline.records import Energy

UNITS = {"a": series(200, unit="a"), "b": series(100, unit="b")}


class Counter:
    """A meter of 10 W that runs on the clock of the test: each answer takes a second."""

    name = "counter"
    minimum_seconds = 0.0

    def __init__(self, *, watts: float = 10.0) -> None:
        self.watts, self.seconds, self.began = watts, 0.0, 0.0

    def start(self) -> None:
        self.began = self.seconds

    def stop(self) -> Energy:
        took = self.seconds - self.began
        joules = self.watts * took
        return Energy(
            joules=joules,
            interval=(joules * 0.9, joules * 1.1),
            provenance="measured",
            sensor="counter",
            boundary="all",
            seconds=took,
        )


@pytest.fixture
def meter() -> Counter:
    return Counter()


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def answer(meter: Counter, asked: list[str]):
    def predict(unit):
        meter.seconds += 1
        asked.append(unit.unit)
        return {"score": np.zeros(len(unit))}

    return predict


def measure(meter, answer, *, test=UNITS, idle_watts=0.0, **changes):
    given = {"seconds": 0.0, "repeats": 3} | changes
    return baselines.energies({"constant": answer}, test, meter=meter, idle_watts=idle_watts, **given)


def test_a_thousand_answers_cost_what_the_meter_counts_for_them(meter, answer):
    # One unit of 200 rows is one second: 10 J for 200 answers.
    found = measure(meter, answer)["constant"]
    assert found.joules == pytest.approx(50.0)
    assert found.interval == pytest.approx((45.0, 55.0))
    assert (found.provenance, found.sensor) == ("measured", "counter")
    assert found.boundary == "all; idle power is taken off"  # the words of the candidate's figure: they are compared


def test_idle_power_is_taken_off(meter, answer):
    assert measure(meter, answer, idle_watts=6.0)["constant"].joules == pytest.approx(20.0)


def test_one_that_cannot_be_told_from_idling_has_no_figure(meter, answer):
    assert measure(meter, answer, idle_watts=10.0) == {}
    assert measure(meter, answer, idle_watts=11.0) == {}


def test_every_sample_asks_about_the_same_rows(meter, answer, asked):
    measure(meter, answer, repeats=4)
    warm_up, *samples = [asked[place : place + len(asked) // 5] for place in range(0, len(asked), len(asked) // 5)]
    assert all(one == warm_up for one in samples)


def test_units_are_asked_over_and_over_until_the_meter_can_count(meter, answer, asked):
    meter.minimum_seconds = 0.02
    measure(meter, answer, repeats=1)
    assert len(asked) > 2 * len(UNITS)
    assert set(asked) == set(UNITS)


def test_the_interval_spans_those_of_all_samples(meter, answer, monkeypatch):
    watts = iter([8.0, 12.0, 10.0])
    start = Counter.start

    def change(self):
        self.watts = next(watts)
        start(self)

    monkeypatch.setattr(Counter, "start", change)
    found = measure(meter, answer)["constant"]
    assert found.joules == pytest.approx(50.0)
    assert found.interval == pytest.approx((36.0, 66.0))


@pytest.mark.parametrize("test", [{}, {"empty": series(10, history=10)}])
def test_without_rows_it_says_so(meter, answer, test):
    with pytest.raises(MeterError, match="the test part has no rows"):
        measure(meter, answer, test=test)


def test_a_meter_that_vanishes_is_an_error(meter, answer, monkeypatch):
    def gone(self):
        raise MeterError("the counter is gone")

    monkeypatch.setattr(Counter, "stop", gone)
    with pytest.raises(MeterError, match="is gone"):
        measure(meter, answer)


def test_a_real_meter_tells_more_work_from_less():
    from wattline.energy.meters import Estimate

    def work(times):
        def predict(unit):
            for _ in range(times):
                np.sort(np.random.default_rng(1).random(20_000))
            return {"score": np.zeros(len(unit))}

        return predict

    meter = Estimate(watts_per_core=10.0, watts_source="a test", idle_share=0.0, idle_source="a test")
    found = baselines.energies(
        {"little": work(1), "much": work(8)}, UNITS, meter=meter, seconds=0.3, repeats=1, idle_watts=0.0
    )
    assert found["much"].joules > 2 * found["little"].joules
    assert found["much"].provenance == "estimated"
