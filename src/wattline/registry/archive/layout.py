"""Which files an archive holds, by name: what is not on this list does not move between sites."""

import re
from collections.abc import Collection

from wattline.registry.archive.faults import UnfitError
from wattline.registry.contents import ALLOWED
from wattline.registry.evidence import RECORD, STAGES

MANIFEST = "manifest.dsse.json"
STATEMENT = "statement.dsse.json"
HISTORY = "history.jsonl"
DATASET = "provenance/dataset.json"
SPLITS = "provenance/manifest.json"
FOLDERS = ("candidate", "cards", "provenance", "reports")
SUFFIXES = {"candidate": ALLOWED, "cards": (".json", ".md"), "reports": (".json",)}
PROVENANCE = (DATASET, SPLITS, "provenance/dvc.lock", "provenance/params.yaml", "provenance/environment.json")
REQUIRED = (
    f"candidate/{RECORD}",
    *(f"reports/{stage}.json" for stage in STAGES),
    *PROVENANCE,
    STATEMENT,
    HISTORY,
)
LONGEST = 100
"""Bytes that the header of a plain tar has for a name."""
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str) -> None:
    """Raise UnfitError unless `name` is one that an archive's file may have, besides its manifest."""
    reason = _suspect(name) or _foreign(name)
    if reason:
        raise UnfitError(f"it holds {shown(name)}, {reason}")


def check_names(names: Collection[str]) -> None:
    """Raise UnfitError naming the first that must not be there, differs only in case from another, or is missing."""
    folded: dict[str, str] = {}
    for name in sorted(names):
        check_name(name)
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            raise UnfitError(f"it holds {other} and {name}, which differ only in case")
    for name in REQUIRED:
        if name not in names:
            raise UnfitError(f"it holds no {name}")


def shown(name: str) -> str:
    """A name that nobody vouches for, as one that can be printed."""
    return ascii(name if len(name) <= LONGEST else f"{name[:LONGEST]}...")


def _suspect(name: str) -> str | None:
    """What is dangerous about `name` for a reader that is less careful."""
    if "\0" in name:
        return "a name with a NUL in it"
    if "\\" in name:
        return "a name with a backslash in it"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path out of its folder"
    if not all(PART.fullmatch(part) for part in name.split("/")):
        return "a name with more in it than letters, digits, dots, dashes and underscores"
    return "a name that is too long" if len(name) > LONGEST else None


def _foreign(name: str) -> str | None:
    """Why a harmless `name` is of no kind that moves between sites."""
    folder, _, file = name.partition("/")
    if name in (STATEMENT, HISTORY, *PROVENANCE):
        return None
    if folder not in SUFFIXES or not file or "/" in file:
        return f"which is not part of an archive: {', '.join((*SUFFIXES, *PROVENANCE, STATEMENT, HISTORY))}"
    if not file.endswith(SUFFIXES[folder]):
        return f"only {', '.join(SUFFIXES[folder])} move in {folder}/"
    return None
