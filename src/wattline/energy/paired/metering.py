"""One reading of the meter after the other, with the clocks and the other load of the machine beside each."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from wattline.energy.meters import Meter, MeterError
from wattline.energy.paired.machine import Clocks, Machine, disturbance
from wattline.energy.paired.worker import BrokenError
from wattline.records import Energy, Sensor

Done = TypeVar("Done")


class Reading(NamedTuple, Generic[Done]):
    """What an activity gave, and took.

    other_cores: mean number of cores that were busy with anything else
    seconds: how long the activity took by the machine's clock [s]
    """

    done: Done
    energy: Energy
    other_cores: float
    seconds: float


class Metering:
    """Reads one meter, and notices when it, the clocks or the machine are not what they were.

    processes: gives the ids of the processes that are ours, besides this one
    read_seconds: how long activities were metered so far, all together [s]
    sensor: what was read; before the first reading it says so
    """

    def __init__(self, meter: Meter, machine: Machine, *, processes: Callable[[], Sequence[int]]) -> None:
        self.read_seconds = 0.0
        self.sensor = _nothing_read(meter)
        self._meter, self._machine, self._processes = meter, machine, processes
        self._clocks: Clocks | None = None

    def read(self, activity: Callable[[], Done]) -> Reading[Done]:
        """Do `activity` while the meter counts.

        Raises MeterError when the meter stopped working, BrokenError when what it read is no energy or comes from
        elsewhere than before, and when clocks stepped or the machine was suspended since the last reading.
        """
        busy, own, before = self._busy(), self._own(), self._tick()
        self._meter.start()
        began = self.now()
        try:
            done = activity()
        except BaseException:
            with suppress(MeterError, ValidationError):  # it must not go on counting, in a thread maybe
                self._meter.stop()
            raise
        seconds = self.now() - began
        energy = self._stopped()
        whole = self._tick().elapsed - before.elapsed
        others = (self._busy() - busy) - (self._own() - own)
        self.read_seconds += whole
        self._check_sensor(energy)
        # Ticks of 10 ms are compared with exact times, so that a little less than nothing may come out.
        return Reading(done, energy, max(0.0, others / whole) if whole > 0 else 0.0, seconds)

    def now(self) -> float:
        """Seconds since some instant, also while the machine sleeps [s]."""
        return self._machine.clocks().elapsed

    def idle(self, seconds: float) -> Reading[None]:
        """Watch the machine do nothing, for at least what the meter needs."""
        wanted = max(seconds, self._meter.minimum_seconds)
        return self.read(lambda: self._machine.sleep(wanted))

    def _stopped(self) -> Energy:
        try:
            return self._meter.stop()
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise BrokenError(
                f"the meter {self._meter.name} read what is no energy ({reason}); choose another meter"
            ) from None

    def _check_sensor(self, energy: Energy) -> None:
        found = _sensor(self._meter, energy)
        former, self.sensor = self.sensor, found
        if former.sensor != NOTHING and _called(former) != _called(found):
            self.sensor = former
            raise BrokenError(
                f"the meter changed from {_called(former)} to {_called(found)} in the middle; run the test again"
            )

    def _tick(self) -> Clocks:
        now = self._machine.clocks()
        problem = disturbance(self._clocks, now) if self._clocks is not None else None
        self._clocks = now
        if problem is not None:
            raise BrokenError(problem)
        return now

    def _busy(self) -> float:
        return self._machine.busy_seconds()

    def _own(self) -> float:
        return self._machine.own_seconds(self._processes())


NOTHING = "nothing was read"


def _nothing_read(meter: Meter) -> Sensor:
    """Until there is a reading, the least is claimed."""
    return Sensor(
        meter=meter.name,
        sensor=NOTHING,
        boundary=NOTHING,
        scope="machine",
        provenance="estimated",
        minimum_seconds=meter.minimum_seconds,
    )


def _sensor(meter: Meter, energy: Energy) -> Sensor:
    if energy.scope is None:
        raise MeterError(f"the meter {meter.name} does not say what else is inside its boundary; choose another meter")
    return Sensor(
        meter=meter.name,
        sensor=energy.sensor,
        boundary=energy.boundary,
        scope=energy.scope,
        provenance=energy.provenance,
        resolution_joules=energy.resolution_joules,
        minimum_seconds=meter.minimum_seconds,
        parameters=energy.parameters,
    )


def _called(sensor: Sensor) -> str:
    """What must not change from one reading to the next; a resolution may."""
    return f"{sensor.sensor} ({sensor.provenance}; {sensor.boundary}; scope {sensor.scope})"
