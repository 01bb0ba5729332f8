"""The sum of meters that read different parts of one machine."""

import time
from collections.abc import Sequence

from wattline.energy.meters.meter import Meter, MeterError
from wattline.energy.sums import widest
from wattline.records import Energy

_PACKAGES = "CPU packages"
_DEVICES = "accelerators"
# Those that are not listed read a whole node, and overlap with everything.
_READS = {"rapl": {_PACKAGES}, "estimate": {_PACKAGES}, "nvml": {_DEVICES}}


class Combined:
    """The sum of meters whose parts do not overlap. It is measured if all of them are.

    Raises MeterError where two read the same part.
    """

    def __init__(self, parts: Sequence[Meter]) -> None:
        _refuse_overlap(parts)
        self.name = "+".join(part.name for part in parts)
        self.minimum_seconds = max(part.minimum_seconds for part in parts)
        # Accelerators wait for their work, and for their counters: the others must see that time at both ends.
        self.parts = sorted(parts, key=lambda part: _READS.get(part.name) != {_DEVICES})
        self._began: float | None = None

    def start(self) -> None:
        """Raises MeterError when a part cannot be read."""
        for part in self.parts:
            part.start()
        self._began = time.monotonic()

    def stop(self) -> Energy:
        """Raises the first MeterError of a part, after all have been stopped."""
        if self._began is None:
            raise MeterError(f"the meter {self.name} was stopped without having been started; call start() first")
        readings: list[Energy] = []
        errors: list[MeterError] = []
        for part in self.parts:
            try:
                readings.append(part.stop())
            except MeterError as error:
                errors.append(error)
        self._began = None
        if errors:
            raise errors[0]
        return added(readings)


def added(readings: Sequence[Energy]) -> Energy:
    """Readings of different parts over the same time as one. Intervals are added: their errors may have one sign."""
    estimated = any(reading.provenance == "estimated" for reading in readings)
    resolutions = [reading.resolution_joules for reading in readings]
    return Energy(
        joules=sum(reading.joules for reading in readings),
        interval=(sum(reading.interval[0] for reading in readings), sum(reading.interval[1] for reading in readings)),
        provenance="estimated" if estimated else "measured",
        sensor=" + ".join(
            f"{reading.sensor} [{reading.provenance}]" if estimated else reading.sensor for reading in readings
        ),
        boundary="; and ".join(reading.boundary for reading in readings),
        seconds=max(reading.seconds for reading in readings),
        resolution_joules=None if None in resolutions else sum(joules for joules in resolutions if joules is not None),
        scope=widest(readings),
        parameters={name: value for reading in readings for name, value in reading.parameters.items()},
    )


def _refuse_overlap(parts: Sequence[Meter]) -> None:
    if len(parts) < 2:
        raise MeterError("a sum needs at least two meters; use the one by itself")
    taken: dict[str, str] = {}
    for part in parts:
        for what in _READS.get(part.name, {_PACKAGES, _DEVICES}):
            if what in taken:
                raise MeterError(
                    f"the meters {taken[what]} and {part.name} both read the {what}; their sum would count them twice: "
                    "set energy.meter to one of them"
                )
            taken[what] = part.name
