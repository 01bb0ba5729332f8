"""Any number of models in turns: what was observed, and what each of them costs by that."""

import math
from collections.abc import Mapping
from statistics import fmean, stdev

from pydantic import Field

from wattline.energy.meters import MeterError
from wattline.energy.paired.worker import BrokenError
from wattline.params import SessionParams
from wattline.records import Energy, Idle, Record, Requests, SelfTest, Sensor


class Reading(Record):
    """One reading of the meter while one model did all the work once; see `Sample`."""

    joules: float
    low: float
    high: float
    seconds: float = Field(ge=0)
    cpu_seconds: float = Field(ge=0)
    other_cores: float = Field(ge=0)


class Round(Record):
    """All models once, in some order, and once more, in the reverse of it.

    order: names of the models
    readings: name -> the reading on the way there, and the one on the way back
    """

    order: tuple[str, ...]
    readings: Mapping[str, tuple[Reading, Reading]]


class Turns(Record):
    """Everything that was observed.

    failures: model -> why it could not be loaded or warmed up; it is in no round
    seed: of the orders
    """

    requests: Requests
    sensor: Sensor
    self_test: SelfTest
    idle_before: Idle
    idle_after: Idle
    rounds: tuple[Round, ...] = Field(min_length=2)
    failures: Mapping[str, str] = {}
    seed: int
    seconds: float = Field(ge=0)

    @property
    def idle_watts(self) -> float:
        """Mean of before and after [W]; of a meter that sees nothing but the models, what they draw while they wait."""
        return (self.idle_before.watts + self.idle_after.watts) / 2


def per_1000(turns: Turns, name: str) -> Energy:
    """Energy of 1,000 predictions of a model, without idle power.

    The interval is the sum of three parts: chance (Student's t over means of rounds, 95 %), what the meter's
    resolution allows, and half the change of idle power.
    Raises MeterError when nothing is left without idle power.
    """
    from scipy.special import stdtrit  # half a second to import, which most commands need not wait for

    readings = [reading for one in turns.rounds for reading in one.readings[name]]
    net = [
        fmean(one.joules - turns.idle_watts * one.seconds for one in round_.readings[name]) for round_ in turns.rounds
    ]
    joules, seconds, sensor = fmean(net), fmean(one.seconds for one in readings), turns.sensor
    if not 0 < joules < math.inf:
        raise MeterError(
            f"a turn of {name} cost {joules:.4g} J by {sensor.sensor}: the meter did not count, or idle power "
            "outweighs the work; raise measure.session.sample_seconds or see `wattline energy doctor`"
        )
    chance = float(stdtrit(len(net) - 1, 0.975)) * stdev(net) / math.sqrt(len(net))
    doubt = abs(turns.idle_after.watts - turns.idle_before.watts) / 2 * seconds
    below = fmean(one.joules - one.low for one in readings) + chance + doubt
    above = fmean(one.high - one.joules for one in readings) + chance + doubt
    return Energy(
        joules=joules,
        interval=(joules - below, joules + above),
        provenance=sensor.provenance,
        sensor=sensor.sensor,
        boundary=f"{sensor.boundary}; idle power is taken off",
        seconds=seconds,
        resolution_joules=sensor.resolution_joules,
        scope=sensor.scope,
        parameters={**sensor.parameters, "idle power taken off": f"{turns.idle_watts:.6g} W, mean of before and after"},
    ).scaled(1000 / turns.requests.predictions)


def idle_share(turns: Turns, name: str) -> float:
    """Share of what the meter read in a model's turns that was idle power."""
    readings = [reading for one in turns.rounds for reading in one.readings[name]]
    return turns.idle_watts * sum(one.seconds for one in readings) / sum(one.joules for one in readings)


def check_undisturbed(turns: Turns, params: SessionParams) -> None:
    """Raise BrokenError when idle power drifted, or other load appeared where the meter sees it."""
    readings = [reading for one in turns.rounds for pair in one.readings.values() for reading in pair]
    seconds = sum(one.seconds for one in readings)
    watts = sum(one.joules - turns.idle_watts * one.seconds for one in readings) / seconds
    drift = abs(turns.idle_after.watts - turns.idle_before.watts)
    if not drift <= params.idle_drift * watts:
        raise BrokenError(
            f"idle power went from {turns.idle_before.watts:.4g} W to {turns.idle_after.watts:.4g} W, and the models "
            f"draw {watts:.4g} W above it (measure.session.idle_drift: {params.idle_drift:.1%}); wait until the "
            "machine is at rest and run it again"
        )
    busy = [turns.idle_before.other_cores, turns.idle_after.other_cores]
    busy.append(sum(one.other_cores * one.seconds for one in readings) / seconds)
    if turns.sensor.scope == "machine" and max(busy) > params.other_cores:
        raise BrokenError(
            f"{max(busy):.3g} cores were busy with something else (measure.session.other_cores: "
            f"{params.other_cores:.3g}) and {turns.sensor.sensor} sees the whole machine; take the node exclusively"
        )
