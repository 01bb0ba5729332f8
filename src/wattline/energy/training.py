"""The account of a training: what it takes, written down while it runs, so that an interrupted attempt still counts."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from wattline import files
from wattline.energy import meters, parts
from wattline.energy.meters import Meter, MeterError, cuda
from wattline.energy.parts import Part
from wattline.energy.place import Place, here
from wattline.energy.sums import add
from wattline.errors import WattlineError
from wattline.params import EnergyParams
from wattline.records import Energy, TrainingEnergy

LAP_SECONDS = 5.0
LONGEST_LAP_SECONDS = 600.0
"""A lap is good to 1 %, unless the meter needs longer for that than anybody wants to lose."""
WAIT_SECONDS = 120.0
POLL_SECONDS = 0.1
BLIND_TO_GPUS = ("rapl", "estimate")
"""Meters that see no accelerator."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadByTheFirst:
    """A meter whose figure is that of all processes: the first one reads it, and the others only say how they ended."""

    name: str
    minimum_seconds: float = 0.0


def meter_of(energy: EnergyParams, place: Place) -> Meter | ReadByTheFirst:
    """The meter that the process at `place` reads. Raises MeterError where it does not work here."""
    if place.rank > 0 and energy.meter in parts.ONE_FOR_ALL:
        return ReadByTheFirst(energy.meter)
    return meters.choose(energy)


def check_devices(energy: EnergyParams, meter: Meter | ReadByTheFirst) -> None:
    """Raise MeterError when `auto` took a meter that sees no GPU, and this process uses one: most would be left out.

    What a training runs on is the task's choice, and not known before.
    """
    if energy.meter == "auto" and meter.name in BLIND_TO_GPUS and cuda.in_use():
        raise MeterError(
            f"the training uses a GPU, which energy.meter: auto does not meter there (it took {meter.name}); set it to "
            "rapl+nvml, nvml or a meter of the site's, or to estimate, which leaves the GPU out"
        )


@contextmanager
def accounted(
    meter: Meter | ReadByTheFirst, folder: Path, *, place: Place | None = None, lap_seconds: float | None = None
) -> Iterator["Account"]:
    """Read `meter` from here to the end of the block, and write every few seconds into `folder` what it has read.

    A process that is killed loses at most the last lap. The block must call `Account.total` in the process that hands
    out the figure; what ends by an exception counts as a lost attempt.

    folder: of this training alone, kept between attempts and shared by all processes
    place: of this process in a job of several; by default what the environment says
    lap_seconds: time between two readings; longer where the meter's resolution wants that [s]
    """
    account = Account(meter, folder, place=place or here(), lap_seconds=lap_seconds or LAP_SECONDS)
    account.begin()
    try:
        yield account
    except BaseException:
        account.give_up()
        raise
    account.close()


class Account:
    """What one process takes. Two threads share it: the one that trains, and one that reads the meter now and then.

    The meter is stopped and started at each lap. How long nothing is read in between depends on the meter, from
    microseconds to one refresh of a counter; it is added up, and the upper bound includes it.
    """

    def __init__(self, meter: Meter | ReadByTheFirst, folder: Path, *, place: Place, lap_seconds: float) -> None:
        self.place = place
        self._meter = meter
        self._folder = folder
        self._lap_seconds = max(lap_seconds, min(meter.minimum_seconds, LONGEST_LAP_SECONDS))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(meter,), name="training-energy", daemon=True)
        self._problem: WattlineError | None = None
        self._total: TrainingEnergy | None = None

    def begin(self) -> None:
        """Start the meter, and leave a first file that says so.

        Raises MeterError when the meter cannot be read, or earlier attempts left something that cannot be counted.
        """
        if self._meter.name == "redfish" and self.place.nodes > 1:
            raise MeterError(
                f"energy.meter is redfish, which reads one machine, and this training runs on {self.place.nodes}; "
                "choose a meter that every node has"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        earlier = parts.read(self._folder)
        self._part = self._first(earlier)
        if self.place.rank == 0:
            # Now rather than after hours of training.
            parts.check_complete([part for part in earlier if part.launch != self._part.launch], self._folder)
        self._began = time.monotonic()
        if not isinstance(self._meter, ReadByTheFirst):
            self._meter.start()
            self._began = time.monotonic()
        self._write()
        if not isinstance(self._meter, ReadByTheFirst):
            self._thread.start()

    def _first(self, earlier: Sequence[Part]) -> Part:
        """The part before the first reading."""
        own = [part for part in earlier if (part.place.launch, part.place.rank) == (self.place.launch, self.place.rank)]
        # Clocks of nodes do not agree: an attempt comes after all that it finds, whatever its own clock says.
        after = [part.began + timedelta(microseconds=1) for part in earlier]
        return Part(
            place=self.place,
            repeat=len(own) + 1,
            meter=self._meter.name,
            began=max([datetime.now(UTC), *after]),
            lap_seconds=self._lap_seconds,
        )

    def check(self) -> None:
        """Raise the MeterError that the meter has raised meanwhile, or a WattlineError when nothing can be written."""
        if self._problem is not None:
            raise self._problem

    def close(self, state: Literal["ended", "failed"] = "ended") -> None:
        """Read the meter for the last time; a second call does nothing. Raises what `check` does."""
        if self._done.is_set():
            return
        self._done.set()
        if isinstance(self._meter, ReadByTheFirst):
            self._part = self._part.model_copy(update={"state": state})
        else:
            self._thread.join()
            self.check()
            self._add(self._meter.stop(), state=state)
        self._write()

    def give_up(self) -> None:
        """Close the account of an attempt that failed. What goes wrong now is only logged: it was not the cause."""
        try:
            self.close("failed")
        except WattlineError as error:
            logger.warning("the energy of this attempt is not complete: %s", error)

    def total(self, *, wait_seconds: float = WAIT_SECONDS) -> TrainingEnergy:
        """Energy of all attempts by all processes. Closes the account first.

        wait_seconds: how long the other processes of this launch may take to close theirs [s]
        Raises MeterError naming the file of a process whose figure is missing, cannot be read or is not final.
        """
        if self._total is None:
            self.close()
            found = self._all_closed(wait_seconds)
            parts.check_complete(found, self._folder)
            self._total = parts.total(found, mine=self._part)
        return self._total

    def _all_closed(self, wait_seconds: float) -> list[Part]:
        until = time.monotonic() + wait_seconds
        while True:
            found = parts.read(self._folder)
            ours = [part for part in found if part.launch == self._part.launch]
            running = [part for part in ours if part.state == "running"]
            if not running and len(ours) == self.place.ranks:
                return found
            if time.monotonic() >= until:
                break
            time.sleep(POLL_SECONDS)
        for part in running:
            raise MeterError(
                f"{self._folder / part.name} is not final: process {part.place.rank} of this training is still at work "
                f"{wait_seconds:g} s after process 0 was done; let all of them end together"
            )
        return found

    def _run(self, meter: Meter) -> None:
        while not self._done.wait(self._lap_seconds):
            try:
                self._lap(meter)
            except WattlineError as error:
                self._problem = error
                return

    def _lap(self, meter: Meter) -> None:
        energy = meter.stop()
        meter.start()
        self._add(energy, state="running")
        self._write()

    def _add(self, energy: Energy, *, state: Literal["running", "failed", "ended"]) -> None:
        former = self._part.energy
        whole = add([former, energy], seconds=former.seconds + energy.seconds) if former else energy
        peak = self._part.peak_watts
        # The last lap may be too short for its power to mean something.
        if state == "running" and energy.seconds:
            peak = float(np.fmax(peak, energy.interval[1] / energy.seconds))
        gap = max(0.0, time.monotonic() - self._began - whole.seconds)
        update = {"energy": whole, "gap_seconds": gap, "peak_watts": peak, "state": state}
        self._part = self._part.model_copy(update=update)

    def _write(self) -> None:
        path = self._folder / self._part.name
        # Not made anew: another copy of this training has ended, and what this one does is for nobody.
        if not self._folder.is_dir():
            raise MeterError(f"{self._folder} was removed while this training ran; another copy of it has ended")
        try:
            files.write_text(path, self._part.to_json())
        except OSError as error:
            raise MeterError(f"{path} cannot be written ({error.strerror}); make room, and train again") from None
