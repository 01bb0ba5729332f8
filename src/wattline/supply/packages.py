"""Which distributions make up a Python environment: what is installed here, and what locks allow."""

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from wattline.errors import InputError
from wattline.records import Record
from wattline.supply.bill import public

if TYPE_CHECKING:
    from packaging.requirements import Requirement

LONGEST_LICENCE = 120
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Package(Record):
    """One distribution.

    name: normalised, as an index knows it
    licence: as its metadata says it, an SPDX expression where there is one; None where it does not
    requires: names of the distributions that it needs here, its optional parts included where another asks for them
    hashes: SHA-256 of the files that a lock allows for it; which of them was installed, nothing records
    """

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    version: str = Field(min_length=1)
    licence: str | None = None
    requires: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()


def installed(*locks: Path) -> dict[str, Package]:
    """Every distribution that this interpreter finds, by name. locks: where its allowed files are listed.

    Raises InputError when a lock cannot be read.
    """
    hashes = locked(*locks)
    found: dict[str, Distribution] = {}
    for one in metadata.distributions():
        # The first on the path is the one that is imported.
        found.setdefault(normalise(one.name), one)
    requires = _requires(found)
    return {
        name: Package(
            name=name,
            version=one.version,
            licence=_licence(one),
            requires=tuple(sorted(requires[name])),
            hashes=hashes.get((name, public(one.version)), ()),
        )
        for name, one in sorted(found.items())
    }


def recorded(versions: Mapping[str, str], *locks: Path) -> dict[str, Package]:
    """An environment of which only names and versions were written down. Raises InputError as `installed` does."""
    hashes = locked(*locks)
    packages = (
        Package(name=normalise(name), version=version, hashes=hashes.get((normalise(name), public(version)), ()))
        for name, version in versions.items()
    )
    return {one.name: one for one in sorted(packages, key=lambda one: one.name)}


def locked(*locks: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Name and public version -> SHA-256 of its files, as pip's hashed requirements list them.

    Raises InputError when a lock cannot be read.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for path in locks:
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{path} cannot be read as a lock of requirements; name one that is there") from None
        current: set[str] = set()
        for line in lines:
            if pinned := PINNED.match(line):
                current = found.setdefault((normalise(pinned[1]), public(pinned[2])), set())
            current.update(HASH.findall(line))
    return {key: tuple(sorted(hashes)) for key, hashes in found.items()}


def normalise(name: str) -> str:
    """The one spelling of a distribution's name (https://packaging.python.org/en/latest/specifications/name-normalization/)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requires(found: Mapping[str, Distribution]) -> dict[str, set[str]]:
    """What each distribution needs of the others here; optional parts count once something asks for them."""
    wanted = {(name, "") for name in found}
    waiting, requires = list(wanted), {name: set[str]() for name in found}
    while waiting:
        name, extra = waiting.pop()
        for requirement in _requirements(found[name], extra):
            other = normalise(requirement.name)
            if other not in found or other == name:
                continue
            requires[name].add(other)
            new = {(other, part) for part in requirement.extras} - wanted
            wanted |= new
            waiting += new
    return requires


def _requirements(distribution: Distribution, extra: str) -> Iterator["Requirement"]:
    from packaging.requirements import InvalidRequirement, Requirement

    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            # Old metadata that pip does not read either.
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _licence(distribution: Distribution) -> str | None:
    """The licence as the metadata says it: as an expression, in a short word, or by classifiers."""
    said = [text.strip() for field in ("License-Expression", "License") for text in _field(distribution, field)]
    for text in said:
        # Some hold the whole text of the licence.
        if text not in ("", "UNKNOWN") and "\n" not in text and len(text) <= LONGEST_LICENCE:
            return text
    classes = [one.split(" :: ") for one in _field(distribution, "Classifier") if one.startswith("License :: ")]
    return " AND ".join(sorted({parts[-1] for parts in classes if parts[-1] != "OSI Approved"})) or None


def _field(distribution: Distribution, name: str) -> list[str]:
    return distribution.metadata.get_all(name) or []
