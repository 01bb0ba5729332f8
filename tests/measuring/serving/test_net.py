"""A figure is what requests cost above idling, with an interval for chance and for the meter."""

import pytest

from wattline.errors import InputError
from wattline.measuring.serving.net import idle_watts, net, rate
from wattline.measuring.serving.turns import Reading
from wattline.records import Energy, ServingWindow


def reading(path: str, joules: float, *, seconds: float = 1.0, blur: float = 0.0, requests: int = 100) -> Reading:
    interval = (joules * (1 - blur), joules * (1 + blur))
    energy = Energy(
        joules=joules, interval=interval, provenance="measured", sensor="s", boundary="b", seconds=seconds,
        resolution_joules=0.5,
    )  # fmt: skip
    asked = {} if path == "idle" else {"requests": requests, "sending_seconds": seconds / 2}
    window = ServingWindow(path=path, joules=joules, low=interval[0], high=interval[1], seconds=seconds, **asked)
    return Reading(window, energy)


def session(*busy: float, idle: float = 2.0, blur: float = 0.0) -> list[Reading]:
    found = [reading("idle", idle, blur=blur)]
    for joules in busy:
        found += [reading("/predict", joules, blur=blur), reading("idle", idle, blur=blur)]
    return found


def test_idle_power_of_the_neighbours_is_taken_off():
    found = net(session(12.0, 12.0, 12.0), "/predict", per=1000, boundary="here")
    assert found.joules == pytest.approx(100.0)
    assert found.interval == pytest.approx((100.0, 100.0))
    assert found.seconds == pytest.approx(10.0)
    assert found.resolution_joules == pytest.approx(5.0)
    assert (found.boundary, found.provenance) == ("here", "measured")


def test_a_drift_of_idle_power_is_taken_off_where_it_is():
    readings = [reading("idle", 2.0), reading("/predict", 13.0), reading("idle", 4.0), reading("/predict", 15.0)]
    readings += [reading("idle", 6.0)]
    assert net(readings, "/predict", per=100, boundary="").joules == pytest.approx(10.0)


def test_the_interval_is_students_t_over_the_windows():
    found = net(session(11.0, 12.0, 13.0), "/predict", per=100, boundary="")
    half = 4.303 * 1.0 / 3**0.5
    assert found.interval == pytest.approx((10 - half, 10 + half))


def test_what_the_meter_may_be_off_is_added_and_does_not_average_out():
    few, many = (net(session(*[12.0] * count, blur=0.1), "/predict", per=100, boundary="") for count in (3, 12))
    assert few.interval == pytest.approx((12 * 0.9 - 2 * 1.1, 12 * 1.1 - 2 * 0.9))
    assert many.interval == pytest.approx(few.interval)


def test_an_interval_never_begins_below_nothing():
    assert net(session(1.1, 12.0, 22.0), "/predict", per=100, boundary="").interval[0] == 0.0


@pytest.mark.parametrize("joules", [2.0, 1.0, 0.0])
def test_what_cannot_be_told_from_idling_is_no_figure(joules: float):
    with pytest.raises(InputError, match="/predict cannot be told from idling"):
        net(session(joules, joules, joules), "/predict", per=1000, boundary="")


def test_rate_and_idle_power_are_those_of_all_windows():
    readings = session(12.0, 12.0, 12.0, idle=3.0)
    assert rate(readings, "/predict") == pytest.approx(200.0)
    assert idle_watts(readings) == pytest.approx(3.0)
