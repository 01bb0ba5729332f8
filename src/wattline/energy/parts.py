"""Parts of a training's energy, as each of its processes writes them down, and their sum."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field, ValidationError

from wattline.energy.meters import MeterError
from wattline.energy.place import Place
from wattline.energy.sums import add
from wattline.records import Attempt, Energy, Figure, Record, TrainingEnergy

NAME = re.compile(r"^[0-9a-f]{16}\.[1-9][0-9]*\.[0-9]+\.json$")
# What `files.write_bytes` leaves of a process that was killed while it wrote, where the file itself is the former one;
# and what NFS calls a file that was replaced while somebody read it.
UNFINISHED = re.compile(r"^\.(.*\.json\.[0-9]+|nfs[0-9a-f]+)$")
ONE_FOR_ALL = frozenset({"slurm", "ear", "redfish", "prometheus"})
"""Meters that read the same figure whichever process of a launch asks."""
GPUS = "gpus"
"""Parameter of an energy that names the GPUs which were read."""
SHARE_TOLD = 1e-3
"""Share of the energy from which on it is told in words what was not read."""
REMEDY = "put it back, or remove {folder} and train anew: without it the energy would be too low"


class Part(Record):
    """What one process of one launch has taken so far.

    repeat: which launch of that name it is, as torchrun gives one name more than once
    meter: its name in `energy.meter`
    began: orders the launches
    energy: what was read; None before the first reading
    gap_seconds: time between readings in which nothing was read [s]
    peak_watts: highest mean power of one lap; NaN before the first one [W]
    lap_seconds: time between two readings: so long a process may have gone on after the last one [s]
    state: "failed" and "ended" ones were read to their end
    """

    place: Place
    repeat: int = Field(ge=1)
    meter: str
    began: AwareDatetime
    energy: Energy | None = None
    gap_seconds: float = Field(default=0.0, ge=0)
    peak_watts: Figure = float("nan")
    lap_seconds: float = Field(gt=0)
    state: Literal["running", "failed", "ended"] = "running"

    @property
    def launch(self) -> tuple[str, int]:
        return self.place.launch, self.repeat

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.place.launch}.{self.repeat}.{self.place.rank}.json"

    @property
    def seconds(self) -> float:
        """How long was read [s]."""
        return self.energy.seconds if self.energy else 0.0


def read(folder: Path) -> list[Part]:
    """Every part in `folder`, the oldest launch first. Raises MeterError naming a file that is none."""
    paths = sorted(path for path in folder.iterdir() if not UNFINISHED.match(path.name))
    parts = [_read(path) for path in paths]
    begins = {launch: min(part.began for part in members) for launch, members in _launches(parts).items()}
    return sorted(parts, key=lambda part: (begins[part.launch], part.launch, part.place.rank))


def check_complete(parts: Sequence[Part], folder: Path) -> None:
    """Raise MeterError naming the file of a process that is missing."""
    for launch, members in _launches(parts).items():
        missing = set(range(max(part.place.ranks for part in members))) - {part.place.rank for part in members}
        if missing:
            path = folder / f"{launch[0]}.{launch[1]}.{min(missing)}.json"
            raise MeterError(
                f"{path} is missing: process {min(missing)} of an attempt at this training left no figure; "
                + REMEDY.format(folder=folder)
            )


def total(parts: Sequence[Part], *, mine: Part) -> TrainingEnergy:
    """Energy of the whole training.

    Unknown is what a process took between its readings, and an interrupted one in the lap after its last reading: at
    most that time at the highest power that was seen. Upper bounds include it.

    parts: of all processes, with a reading of `mine`, whose launch is the one that reached the end
    """
    if mine.energy is None:
        raise MeterError("the energy of this training was never read; close the account before it is added up")
    attempts, seconds, unread = [], 0.0, 0.0
    for number, members in enumerate(_launches(parts).values(), start=1):
        counted = _counted(members, like=mine.energy)
        seconds += max(part.seconds for part in counted)
        for part in counted:
            lost = _unread(part, parts)
            unread += lost
            attempts.append(
                Attempt(
                    number=number,
                    rank=part.place.rank,
                    node=part.place.node,
                    finished=part.launch == mine.launch and part.state == "ended",
                    energy=_spent(part, like=mine.energy, unread=lost),
                )
            )
    whole = add([attempt.energy for attempt in attempts], seconds=seconds)
    return TrainingEnergy(total=_told(whole, unread), attempts=tuple(attempts))


def _read(path: Path) -> Part:
    try:
        part = Part.from_json(path.read_bytes())
    except (OSError, ValidationError):
        part = None
    if part is None or part.name != path.name:
        raise MeterError(
            f"{path} is no figure of an attempt at this training: it was cut, altered or does not belong here; "
            + REMEDY.format(folder=path.parent)
        )
    return part


def _launches(parts: Sequence[Part]) -> Mapping[tuple[str, int], list[Part]]:
    """Parts by launch, in their order."""
    found: dict[tuple[str, int], list[Part]] = {}
    for part in parts:
        found.setdefault(part.launch, []).append(part)
    return found


def _counted(members: Sequence[Part], *, like: Energy) -> list[Part]:
    """One of those parts of a launch that read the same thing: the one that read longest.

    A meter of the whole machine sees all processes of its node: added up, they would be counted once for each. Where
    each process meters a GPU of its own, all count, and packages that are read with them do so once for each: too much
    rather than too little.
    """
    kept: dict[tuple[object, ...], Part] = {}
    for part in members:
        key = _what_was_read(part, like)
        if key not in kept or part.seconds > kept[key].seconds:
            kept[key] = part
    return sorted(kept.values(), key=lambda part: part.place.rank)


def _what_was_read(part: Part, like: Energy) -> tuple[object, ...]:
    energy = part.energy or like
    if part.meter in ONE_FOR_ALL:
        return (part.meter,)
    if energy.scope in ("machine", "devices"):
        return (part.place.node, part.meter, energy.parameters.get(GPUS))
    return (part.place.rank, "process")


def _spent(part: Part, *, like: Energy, unread: float) -> Energy:
    """What is known of a part [J]: nothing but an upper bound for one that was interrupted before its first reading."""
    nothing = like.model_copy(update={"joules": 0.0, "interval": (0.0, 0.0), "seconds": 0.0})
    energy = part.energy or nothing
    low, high = energy.interval
    return _told(energy.model_copy(update={"interval": (low, high + unread)}), unread)


def _told(energy: Energy, unread: float) -> Energy:
    """`energy`, whose upper bound includes what was not read [J], with a word about that where it matters."""
    if unread <= SHARE_TOLD * energy.joules:
        return energy
    said = f"at most {unread:.3g} J, between readings and after the last one; the upper bound includes it"
    return energy.model_copy(update={"parameters": {**energy.parameters, "not_read": said}})


def _unread(part: Part, parts: Sequence[Part]) -> float:
    """Most that a part may have taken between its readings and after the last one [J]."""
    seconds = part.gap_seconds + (part.lap_seconds if part.state == "running" else 0.0)
    powers = [one.peak_watts for one in (part, *parts) if math.isfinite(one.peak_watts)]
    # A training that was too short for one lap has had no power but its mean.
    means = [one.energy.interval[1] / one.seconds for one in parts if one.energy and one.seconds]
    return seconds * max(powers or means, default=0.0)
