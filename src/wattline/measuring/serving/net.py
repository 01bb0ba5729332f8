"""From readings to a figure: idle power taken off, with an interval for chance and for the meter."""

import math
from collections.abc import Callable, Sequence
from statistics import mean, stdev

from wattline.errors import InputError
from wattline.measuring.serving.turns import IDLE, Reading
from wattline.records import Energy, ServingWindow

STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t, 0.975 quantile, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2)."""

Joules = Callable[[ServingWindow], float]


def net(readings: Sequence[Reading], path: str, *, per: float, boundary: str) -> Energy:
    """Mean energy of `per` requests to `path`, what the idle server draws taken off.

    The idle power of a window is the mean of those before and after it. The 95 % interval adds up two things that do
    not average out each other: Student's t over the windows, and how far off the meter may be in all of them alike, for
    which the window is taken at its lowest with the higher idle power, and at its highest with the lower one.

    Raises InputError where the windows drew no more than idling.
    """
    places = [at for at, reading in enumerate(readings) if reading.window.path == path]
    figures = [_net(readings, at, per) for at in places]
    values = [value for value, _, _ in figures]
    if mean(values) <= 0:
        seconds = readings[places[0]].window.seconds
        raise InputError(
            f"{path} cannot be told from idling: {len(values)} windows of {seconds:.2g} s drew no more than the idle "
            "server; raise measure.serving.requests, rows or repeats"
        )
    chance = STUDENT[min(len(values) - 1, len(STUDENT)) - 1] * stdev(values) / math.sqrt(len(values))
    first = readings[places[0]].energy
    return first.model_copy(
        update={
            "joules": mean(values),
            "interval": (
                max(0.0, mean(low for _, low, _ in figures) - chance),
                mean(high for _, _, high in figures) + chance,
            ),
            "boundary": boundary,
            "seconds": mean(readings[at].window.seconds / readings[at].window.requests for at in places) * per,
            "resolution_joules": _resolution(readings, places, per),
        }
    )


def idle_watts(readings: Sequence[Reading]) -> float:
    """Mean power of all idle windows [W]."""
    idle = [reading.window for reading in readings if reading.window.path == IDLE]
    return sum(one.joules for one in idle) / sum(one.seconds for one in idle)


def rate(readings: Sequence[Reading], path: str) -> float:
    """Requests to `path` per second, while they were sent [1/s]."""
    windows = [reading.window for reading in readings if reading.window.path == path]
    return sum(one.requests for one in windows) / sum(one.sending_seconds for one in windows)


def _net(readings: Sequence[Reading], at: int, per: float) -> tuple[float, float, float]:
    """Energy of `per` requests of the window there, and its lowest and highest value."""
    window, beside = readings[at].window, (readings[at - 1].window, readings[at + 1].window)
    idle = mean(one.joules / one.seconds for one in beside)
    least = min(one.low / one.seconds for one in beside)
    most = max(one.high / one.seconds for one in beside)
    share = per / window.requests
    return (
        (window.joules - idle * window.seconds) * share,
        (window.low - most * window.seconds) * share,
        (window.high - least * window.seconds) * share,
    )


def _resolution(readings: Sequence[Reading], places: Sequence[int], per: float) -> float | None:
    """The sensor's smallest step, as a part of the figure; None where the meter does not say [J]."""
    step = readings[places[0]].energy.resolution_joules
    return None if step is None else step * per / min(readings[at].window.requests for at in places)
