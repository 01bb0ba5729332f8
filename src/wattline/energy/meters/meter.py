"""What every meter is: something that reads the energy of what happens between `start` and `stop`."""

from typing import Protocol

from wattline.errors import InputError
from wattline.records import Energy


class MeterError(InputError):
    """A meter that cannot be used here, or stopped working. The message says why and what would help."""


class Meter(Protocol):
    """Reads the energy of what happens between `start` and `stop`. A second `start` begins anew.

    name: what it is called in `energy.meter`
    minimum_seconds: shortest activity whose reading is good to 1 %, from what its sensor can tell [s]
    """

    name: str
    minimum_seconds: float

    def start(self) -> None:
        """Raises MeterError when the sensor cannot be read."""
        ...

    def stop(self) -> Energy:
        """Energy since `start`. Raises MeterError when the sensor stopped working, or `start` was not called."""
        ...
