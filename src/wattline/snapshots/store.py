"""The store of snapshots: one takes its place whole or not at all, under its id."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wattline import files, partitions
from wattline.errors import WattlineError
from wattline.settings import settings
from wattline.snapshots import building
from wattline.snapshots.building import Built, Part

BUILDING = ".building"


@contextmanager
def opened(folder: Path = partitions.FOLDER) -> Iterator[Path]:
    """The store, for one process at a time. What a killed one left half made is gone.

    Raises WattlineError where another process takes a snapshot.
    """
    refusal = WattlineError(f"another process takes a snapshot into {folder}; try again when it is done")
    with files.held(settings().state / "snapshots.lock", refusal=refusal):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / BUILDING, ignore_errors=True)
        yield folder


@contextmanager
def space(store: Path) -> Iterator[Path]:
    """A folder to build a snapshot in; nothing of it stays unless it took its place."""
    place = store / BUILDING
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def newest(store: Path, name: str) -> Part | None:
    """The newest snapshot of a dataset. Raises InputError when it is not here."""
    identifier = partitions.newest(store).get(name)
    if identifier is None:
        return None
    return Part(store / identifier, partitions.read_record(store / identifier))


def put(store: Path, place: Path, built: Built) -> bool:
    """Give a snapshot its place and make it the newest one of its dataset; whether it is new."""
    target = store / built.record.id
    new = not target.is_dir()
    if new:
        building.link(built, place)
        files.write_text(place / partitions.RECORD, built.record.to_json())
        (place / partitions.RECORD).chmod(0o444)
        place.rename(target)
    heads = partitions.newest(store) | {built.record.name: built.record.id}
    text = json.dumps(heads, indent=2, sort_keys=True) + "\n"
    if not (store / partitions.NEWEST).is_file() or (store / partitions.NEWEST).read_text() != text:
        files.write_text(store / partitions.NEWEST, text)
    return new
