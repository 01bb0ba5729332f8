"""What dvc.lock and .dvc files have on record, read without DVC: before each stage there is no second to spare."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wattline.errors import InputError

LOCK = Path("dvc.lock")
SUFFIX = ".dvc"


@dataclass(frozen=True)
class Recorded:
    """A file or folder that is on record.

    md5: of its bytes; of its listing, with .dir, for a folder
    by: stage that wrote it, or the .dvc file that names it
    """

    path: Path
    md5: str
    by: str


def stages(lock: Path = LOCK) -> Mapping[str, Any]:
    """Stage -> its entry; nothing where there is no lock. Raises InputError for a file that is none."""
    if not lock.is_file():
        return {}
    tree = _tree(lock).get("stages") or {}
    if not isinstance(tree, dict) or not all(isinstance(entry, dict) for entry in tree.values()):
        raise InputError(f"{lock} is no lock of DVC; take it from git again, or run `dvc repro`")
    return tree


def outputs(entries: Mapping[str, Any]) -> dict[Path, Recorded]:
    """Path -> what the stage that writes it had on record when it last ran."""
    return {found.path: found for stage, entry in entries.items() for found in _rows(entry, "outs", by=stage)}


def inputs(entries: Mapping[str, Any], stage: str) -> list[Recorded]:
    """What a stage read when it last ran."""
    return list(_rows(entries.get(stage, {}), "deps", by=stage))


def added(paths: Iterable[Path]) -> dict[Path, Recorded]:
    """What .dvc files beside, above and below `paths` have on record."""
    found: dict[Path, Recorded] = {}
    for file in sorted({one for path in paths for one in _near(path)}):
        entry = _tree(file)
        folder = file.parent / str(entry.get("wdir", "."))
        for row in _rows(entry, "outs", by=str(file)):
            place = folder / row.path
            found[place] = Recorded(place, row.md5, row.by)
    return found


def _near(path: Path) -> Iterator[Path]:
    for folder in path.parents:
        yield from (one for one in folder.glob(f"*{SUFFIX}") if one.is_file())
    if path.is_dir():
        yield from (one for one in path.rglob(f"*{SUFFIX}") if one.is_file())


def _rows(entry: Mapping[str, Any], kind: str, *, by: str) -> Iterator[Recorded]:
    for row in entry.get(kind) or ():
        # Without `hash`, DVC 2 wrote it, whose MD5 of a text is not that of its bytes.
        if isinstance(row, dict) and row.get("md5") and row.get("hash") == "md5":
            yield Recorded(Path(str(row["path"])), str(row["md5"]), by)


def _tree(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path} cannot be read: {reason}; take it from git again, or run `dvc repro`") from None
    return tree if isinstance(tree, dict) else {}
