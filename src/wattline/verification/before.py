"""Objects of the cache that are about to be sent: hashed first, since DVC sends a damaged one under its old name."""

from collections.abc import Iterable

from wattline import objects
from wattline.errors import IntegrityError
from wattline.verification import stored
from wattline.verification.hashes import Hashes
from wattline.verification.places import Local

NAMED = 5
"""Objects that a refusal names."""


def sending(cache: objects.Cache, names: Iterable[str]) -> None:
    """Raise IntegrityError naming the objects whose bytes are not what their names say, of files and of folders.

    Objects that are not here are left out: they are not sent.
    """
    place = Local(cache, Hashes())
    found = stored.look(place, {md5: md5 for md5 in sorted(set(names))}, known={}, remedy=lambda *_: "")
    damaged = [f"{one.place} has MD5 {one.found}" for one in found.problems if not one.missing]
    if damaged:
        more = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
        raise IntegrityError(
            f"DVC's cache is damaged, so nothing was sent: {'; '.join(damaged[:NAMED])}{more}; `wattline data verify` "
            "says what to do"
        )
