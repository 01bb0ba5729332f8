"""Does a research object hold what its metadata says: every part there, every size and digest true, no dead link."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from wattline import files
from wattline.errors import InputError, IntegrityError

METADATA = "ro-crate-metadata.json"
REMEDY = "export the version anew"

Entity = Mapping[str, Any]


def check(folder: Path) -> None:
    """Hold the files in `folder` against its metadata.

    Raises InputError when there is no readable metadata, IntegrityError naming the first thing that is not as it says.
    """
    entities = _read(folder / METADATA)
    for name, entity in entities.items():
        for target in _links(entity):
            if not urlsplit(target).scheme and target not in entities:
                raise IntegrityError(f"{folder}: {name} links to {target}, which is not described; {REMEDY}")
    listed = set(_links({"hasPart": entities.get("./", {}).get("hasPart", [])}))
    described = {name: entity for name, entity in entities.items() if _is_local_data(name, entity)}
    for name in sorted(listed | described.keys()):
        if name not in described:
            continue
        if name not in listed:
            raise IntegrityError(f"{folder}: {name} is described and is no part of the whole; {REMEDY}")
        _check_part(folder, name, described[name])
    _check_complete(folder, {unquote(name) for name in described})


def _read(path: Path) -> dict[str, Entity]:
    try:
        graph = json.loads(path.read_bytes())["@graph"]
        entities = {str(entity["@id"]): entity for entity in graph}
    except OSError:
        raise InputError(f"{path} cannot be read, so this is no RO-Crate; {REMEDY}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no RO-Crate metadata; {REMEDY}") from None
    if len(entities) != len(graph):
        raise IntegrityError(f"{path} describes something twice; {REMEDY}")
    return entities


def _links(value: object) -> Iterator[str]:
    """Every id that is referred to; that of the entity itself is none."""
    if isinstance(value, list):
        for one in value:
            yield from _links(one)
    elif isinstance(value, dict):
        if value.keys() == {"@id"}:
            yield str(value["@id"])
        else:
            for name, one in value.items():
                if name != "@id":
                    yield from _links(one)


def _is_local_data(name: str, entity: Entity) -> bool:
    kinds = entity.get("@type", [])
    data = {"File", "Dataset"} & set(kinds if isinstance(kinds, list) else [kinds])
    return bool(data) and name != "./" and not name.startswith("#") and not urlsplit(name).scheme


def _check_part(folder: Path, name: str, entity: Entity) -> None:
    path = folder / unquote(name)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise IntegrityError(f"{folder}: {name} leads out of the folder; do not use it")
    if name.endswith("/"):
        if not path.is_dir():
            raise IntegrityError(f"{path} is described and is no folder; {REMEDY}")
        return
    if not path.is_file():
        raise IntegrityError(f"{path} is described and is not there; {REMEDY}")
    found = {"contentSize": str(path.stat().st_size), "sha256": files.sha256(path)}
    for field, value in found.items():
        if entity.get(field) != value:
            raise IntegrityError(f"{path} has {field} {value}, {METADATA} says {entity.get(field)}; {REMEDY}")


def _check_complete(folder: Path, described: set[str]) -> None:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or (not path.is_dir() and name not in {METADATA, *described}):
            raise IntegrityError(f"{path} is described nowhere; remove it or {REMEDY}")
