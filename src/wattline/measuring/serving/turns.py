"""Reads the meter while the server is asked, in windows between which nothing is asked."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from wattline.energy.meters import Meter
from wattline.measuring.serving.answer_log import AnswerLog
from wattline.measuring.serving.client import Lanes, ask
from wattline.measuring.serving.process import Server, ServingError
from wattline.measuring.serving.traffic import Answered, Traffic
from wattline.records import Energy, ServingWindow

IDLE = "idle"
MARGIN = 1.2
"""By how much a window is made longer than the meter needs, since no two are equally fast."""


@dataclass(frozen=True)
class Reading:
    """A window, and the meter's own words about it."""

    window: ServingWindow
    energy: Energy


class Caller:
    """Asks one server, and knows how many answers its log must hold."""

    def __init__(self, server: Server, *, timeout_seconds: float) -> None:
        self._server, self._seconds = server, timeout_seconds
        log, params = server.log, server.params.log
        self._log = None if log is None else AnswerLog(log, params.flush_seconds)
        self._scores = 0

    def ask(self, lanes: Lanes, traffic: Traffic) -> float:
        """Send `lanes`, and look at the answers; how long they took [s].

        Raises ServingError unless every answer is 2xx, complete and right.
        """
        begin = time.monotonic()
        bodies = self.send(lanes)
        seconds = time.monotonic() - begin
        self._scores += traffic.check(bodies).scores
        return seconds

    def send(self, lanes: Lanes) -> list[list[bytes]]:
        """The bodies of all answers. Raises ServingError, naming the server's own end where that is why."""
        try:
            return ask(self._server.port, lanes, seconds=self._seconds)
        except ServingError as error:
            raise ServingError(f"{error} ({self._server.problem()}); there is no figure") from None

    def settle(self, scores: int = 0) -> None:
        """Wait until so many more answers than before are in the server's log."""
        self._scores += scores
        if self._log is not None:
            self._log.wait(self._scores)


def warm_up(caller: Caller, traffic: Traffic, *, count: int, minimum_seconds: float) -> int:
    """Ask without reading the meter; how many requests, `count` or a multiple, last `minimum_seconds` when it is warm.

    Raises ServingError as `Caller.ask` does: when that takes longer than the caller waits, too.
    """
    caller.ask(traffic.next(count), traffic)
    passes = 1
    while (seconds := caller.ask(traffic.next(passes * count), traffic)) < minimum_seconds:
        passes = math.ceil(passes * max(1.1, MARGIN * minimum_seconds / seconds))
    return passes * count


def take_turns(
    caller: Caller,
    counts: Mapping[Traffic, int],
    *,
    meter: Meter,
    repeats: int,
    idle_seconds: float,
    report: Callable[[str, float, Mapping[str, float]], None] = lambda *_: None,
) -> list[Reading]:
    """Idle, a window of one path, idle, a window of the next one, and so on; the order of the paths alternates.

    counts: requests in one window
    Raises MeterError or ServingError; then there is no figure.
    """
    caller.settle()
    readings = [idle(meter, seconds=idle_seconds)]
    every = list(order(counts, repeats))
    for number, traffic in enumerate(every):
        report(traffic.path, number / len(every), {"watts": readings[-1].energy.joules / readings[-1].energy.seconds})
        readings.append(busy(caller, traffic, counts[traffic], meter=meter))
        readings.append(idle(meter, seconds=idle_seconds))
    report("done", 1.0, {})
    return readings


def order(counts: Mapping[Traffic, int], repeats: int) -> Iterator[Traffic]:
    """Each path once in each turn, forwards and backwards in turns, so that a drift hits all of them alike."""
    for repeat in range(repeats):
        yield from list(counts)[:: 1 if repeat % 2 == 0 else -1]


def idle(meter: Meter, *, seconds: float) -> Reading:
    """Read the meter while nothing is asked, for `seconds` or as long as the meter needs."""
    meter.start()
    time.sleep(max(seconds, meter.minimum_seconds))
    return reading(IDLE, meter.stop())


def busy(caller: Caller, traffic: Traffic, count: int, *, meter: Meter) -> Reading:
    """Read the meter while `count` requests are sent, answered and written down; answers are looked at afterwards."""
    lanes = traffic.next(count)
    meter.start()
    begin = time.monotonic()
    bodies = caller.send(lanes)
    seconds = time.monotonic() - begin
    try:
        caller.settle(count * traffic.windows)
    except ServingError:
        traffic.check(bodies)  # what is not there may be what was not answered, which says more
        raise
    energy = meter.stop()
    answered = traffic.check(bodies)
    return reading(traffic.path, energy, requests=count, sending_seconds=seconds, answered=answered)


def reading(
    path: str, energy: Energy, *, requests: int = 0, sending_seconds: float = 0.0, answered: Answered | None = None
) -> Reading:
    """A window of `path`, as the meter saw it."""
    window = ServingWindow(
        path=path,
        joules=energy.joules,
        low=energy.interval[0],
        high=energy.interval[1],
        seconds=energy.seconds,
        requests=requests,
        sending_seconds=sending_seconds,
        scores=answered.scores if answered else 0,
        alarms=answered.alarms if answered else 0,
    )
    return Reading(window, energy)
