"""Objects of a cache or a remote held against their names, folders with all that they list."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from wattline.objects import FOLDER
from wattline.verification.places import Place
from wattline.verification.problem import Problem
from wattline.verification.workspace import Entries

Remedy = Callable[[str, str, bool], str]
"""What to do about an object, given where it is, its output and whether it is missing."""


@dataclass
class Found:
    """What one place has of some outputs.

    objects: how many were looked for
    listings: name -> entries of each folder whose listing is sound
    """

    objects: int = 0
    problems: list[Problem] = field(default_factory=list)
    listings: dict[str, Entries] = field(default_factory=dict)


def look(place: Place, outputs: Mapping[str, str], *, known: Mapping[str, Entries], remedy: Remedy) -> Found:
    """Hash what `place` has of these outputs.

    outputs: name of the object -> output, as it is typed
    known: listings from elsewhere, for folders whose own one is lost there
    """
    found = Found()
    _judge(place, outputs, found, remedy=remedy)
    lost = {problem.expected for problem in found.problems}
    files: dict[str, str] = {}
    for md5, output in outputs.items():
        if not md5.endswith(FOLDER):
            continue
        if md5 not in lost:
            found.listings[md5] = entries(place.content(md5))
        for name, one in (found.listings.get(md5) or known.get(md5) or {}).items():
            files.setdefault(one, f"{output}/{name}")
    _judge(place, {md5: path for md5, path in files.items() if md5 not in outputs}, found, remedy=remedy)
    return found


def entries(listing: bytes) -> dict[str, str]:
    """Path -> MD5 of a folder's listing whose bytes are those of its name."""
    return {str(row["relpath"]): str(row["md5"]) for row in json.loads(listing)}


def missing(found: Found, outputs: Iterable[str]) -> set[str]:
    """Those of the outputs' own objects that are not there at all, which is where a clone begins."""
    wanted = set(outputs)
    return {problem.expected for problem in found.problems if problem.missing and problem.expected in wanted}


def _judge(place: Place, wanted: Mapping[str, str], found: Found, *, remedy: Remedy) -> None:
    digests = place.digests(list(wanted))
    found.objects += len(wanted)
    for md5, output in wanted.items():
        actual = digests.get(md5)
        if actual == md5:
            continue
        where = place.where(md5)
        cause = f"cannot be read: {place.failures[md5]}" if actual is None else ""
        said = remedy(where, output, actual == "")
        found.problems.append(Problem(where, output, expected=md5, found=actual or "", cause=cause, remedy=said))
