"""What meters do when they misbehave, and what else spoils a session."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from sessions.simulated import CONTROLS, IDLE_WATTS, WATTS, Fault, Readings
from wattline.records import Idle

# One bad reading must come before the first look: a session may end there, and is right without it.
EARLY = 2 * CONTROLS


def _somewhere(random: np.random.Generator) -> tuple[int, int]:
    return int(random.integers(EARLY)), int(random.integers(4))


def _all(joules: Callable[[Readings, np.random.Generator], object]) -> Fault:
    """Every reading is replaced."""

    def fault(found: Readings, random: np.random.Generator) -> None:
        found.joules[:] = joules(found, random)

    return fault


def _one(joules: Callable[[float], float]) -> Fault:
    """One reading is replaced."""

    def fault(found: Readings, random: np.random.Generator) -> None:
        place = _somewhere(random)
        found.joules[place] = joules(float(found.joules[place]))

    return fault


def _stuck_on_the_way(found: Readings, random: np.random.Generator) -> None:
    turn = int(random.integers(EARLY * 2))
    found.joules.flat[turn:] = found.joules.flat[turn]


def _several_wraps(found: Readings, random: np.random.Generator) -> None:
    for _ in range(3):
        found.joules[_somewhere(random)] -= 262_143.3


def _vanished(found: Readings, _: np.random.Generator) -> None:
    found.changes["problem"] = "meter rapl vanished during a sample"


def _idle_missing(found: Readings, _: np.random.Generator) -> None:
    found.changes["idle_after"] = None


def _idle_unread(found: Readings, _: np.random.Generator) -> None:
    found.changes["idle_before"] = Idle(watts=0, seconds=1, other_cores=0)


SENSORS: Mapping[str, Fault] = {
    "stuck: every reading the same": _all(lambda *_: 50.0),
    "stuck: from some reading on the same": _stuck_on_the_way,
    "stuck: power that does not move": _all(lambda found, _: 90.0 * found.seconds),
    "stuck: reads 0 J": _all(lambda *_: 0.0),
    "stuck: one reading of 0 J": _one(lambda _: 0.0),
    "wrapped once, unnoticed": _one(lambda joules: joules - 262_143.3),
    "wrapped three times, unnoticed": _several_wraps,
    "wrapped, corrected by a wrong range": _one(lambda joules: joules + 2**32 / 1e6),
    "negative": _all(lambda found, _: -found.joules),
    "backwards once": _one(lambda joules: -0.01 * joules),
    "missing: vanished during a sample": _vanished,
    "missing: no idle power afterwards": _idle_missing,
    "missing: read nothing while idle": _idle_unread,
    "missing: one reading is NaN": _one(lambda _: math.nan),
    "garbage: one reading is infinite": _one(lambda _: math.inf),
    "garbage: evenly between 0 and 100 J": _all(lambda found, random: random.uniform(0, 100, found.joules.shape)),
    "garbage: evenly between 30 and 90 J": _all(lambda found, random: random.uniform(30, 90, found.joules.shape)),
    "garbage: nine decades": _all(lambda found, random: 10.0 ** random.uniform(-3, 6, found.joules.shape)),
}


def _idle_drifts(found: Readings, random: np.random.Generator) -> None:
    drift = float(random.uniform(0.11, 0.5)) * WATTS * (1 if random.random() < 0.5 else -1)
    power = np.linspace(0, drift, found.joules.size).reshape(found.joules.shape)
    found.joules += power * found.seconds
    found.changes["idle_after"] = Idle(watts=IDLE_WATTS + drift, seconds=1, other_cores=0.01)


def _load_in_candidates_turns(found: Readings, _: np.random.Generator) -> None:
    found.other_cores[found.candidate] = 0.5
    found.joules[found.candidate] += 0.5 * WATTS * found.seconds[found.candidate]


def _load_in_baselines_turns(found: Readings, _: np.random.Generator) -> None:
    found.other_cores[~found.candidate] = 0.5
    found.joules[~found.candidate] += 0.5 * WATTS * found.seconds[~found.candidate]


def _load_while_idle(found: Readings, _: np.random.Generator) -> None:
    found.changes["idle_before"] = Idle(watts=IDLE_WATTS, seconds=1, other_cores=0.5)


CONDITIONS: Mapping[str, Fault] = {
    "idle power drifts by 11 to 50 % of net power": _idle_drifts,
    "other load in the candidate's turns": _load_in_candidates_turns,
    "other load in the baseline's turns": _load_in_baselines_turns,
    "other load while idle power is read": _load_while_idle,
}


def _busy(found: Readings, random: np.random.Generator) -> None:
    """A contender is not on a core all the time, so that CPU and wall time differ."""
    found.cpu_seconds *= random.uniform(0.8, 1.0, found.cpu_seconds.shape)


def _estimate(per_cpu_second: float, per_second: float, *, digits: int = 6, apart: float = 0.0) -> Fault:
    """Computed from time, and called measured.

    apart: how far the clocks behind it and behind the samples are apart [s]
    """

    def fault(found: Readings, random: np.random.Generator) -> None:
        _busy(found, random)
        late = random.uniform(-apart, apart, found.seconds.shape)
        found.joules[:] = per_cpu_second * (found.cpu_seconds + late) + per_second * found.seconds
        found.joules[:] = np.round(found.joules, digits)
        for when in ("idle_before", "idle_after"):
            found.changes[when] = Idle(watts=max(per_second, 0.1), seconds=1, other_cores=0.01)

    return fault


ESTIMATES: Mapping[str, Fault] = {
    "CPU time x W/core": _estimate(12.5, 0),
    "CPU time x W/core, rounded to 1 mJ": _estimate(12.5, 0, digits=3),
    "wall time x W": _estimate(0, 90),
    "CPU time x W/core + idle share": _estimate(12.5, 4),
    "CPU time x W/core, clocks 0.2 ms apart": _estimate(12.5, 0, apart=0.0002),
}
DISGUISED: Mapping[str, Fault] = {
    "CPU time x W/core, clocks 5 ms apart": _estimate(12.5, 0, apart=0.005),
}
