"""Sums of energies: what several readings, or several processes, took together."""

from collections.abc import Iterable, Sequence
from typing import Literal

from wattline.records import Energy, Scope

WIDTHS: tuple[Scope | None, ...] = ("processes", "devices", "machine")


def add(parts: Sequence[Energy], *, seconds: float) -> Energy:
    """What `parts` took together, `seconds` long. There must be one at least.

    Bounds are added: the parts were read from one kind of sensor, whose error has the same sign in all of them. The sum
    is estimated as soon as one part is. Its scope is the widest of theirs, and it keeps the parameters that all share.
    """
    provenance: Literal["measured", "estimated"] = (
        "measured" if all(part.provenance == "measured" for part in parts) else "estimated"
    )
    resolutions = [part.resolution_joules for part in parts]
    known = [resolution for resolution in resolutions if resolution is not None]
    return Energy(
        joules=sum(part.joules for part in parts),
        interval=(sum(part.interval[0] for part in parts), sum(part.interval[1] for part in parts)),
        provenance=provenance,
        sensor=_joined(part.sensor for part in parts),
        boundary=_joined(part.boundary for part in parts),
        seconds=seconds,
        resolution_joules=max(known) if len(known) == len(resolutions) else None,
        scope=widest(parts),
        parameters={
            name: value
            for name, value in parts[0].parameters.items()
            if all(part.parameters.get(name) == value for part in parts)
        },
    )


def widest(parts: Sequence[Energy]) -> Scope | None:
    """What a sum cannot tell apart is what any of its parts cannot; None where one of them does not say."""
    scopes = [part.scope for part in parts]
    return None if None in scopes else max(scopes, key=WIDTHS.index)


def _joined(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(texts))
