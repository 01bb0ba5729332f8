"""The files of a candidate, read once: bounded in size, and equal to the bytes that their record names."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from wattline.errors import InputError, IntegrityError
from wattline.files import AnyRecord
from wattline.records import Candidate, Signature

GRAPH = "model.onnx"
SIGNATURE = "signature.json"
GOLDEN = "golden.json"
CANDIDATE = "candidate.json"
LARGEST_GRAPH = 2 * 1024**3
"""No ONNX graph is larger in one file [bytes]."""
LARGEST_RECORD = 64 * 1024**2
"""Largest JSON file [bytes]."""
CHUNK = 1024**2


class MissingError(InputError):
    """A file that is needed is not there."""


@dataclass(frozen=True)
class Contents:
    """What gets loaded, in memory: nobody can exchange it between the check and the use.

    files: name -> bytes, of those that are recorded and there
    """

    folder: Path
    candidate: Candidate
    files: Mapping[str, bytes]

    @property
    def signature(self) -> Signature:
        """How the graph is called. Raises InputError when signature.json is no such record."""
        return parse(self.files[SIGNATURE], Signature, place=self.folder / SIGNATURE)


def read(folder: Path) -> Contents:
    """Read what gets loaded from `folder`; other recorded files are compared with their record where they are there.

    Raises IntegrityError when bytes differ, MissingError when a file is not there, InputError when it is malformed or
    larger than what is ever loaded.
    """
    candidate = parse(read_bounded(folder / CANDIDATE), Candidate, place=folder / CANDIDATE)
    check_names(candidate, place=folder / CANDIDATE)
    absent = [name for name in (GRAPH, SIGNATURE) if name not in candidate.files]
    if absent:
        raise IntegrityError(f"{folder / CANDIDATE} records no digest of {absent[0]}; run `dvc repro` to make it anew")
    return Contents(folder, candidate, dict(_verified(folder, candidate)))


def check_names(candidate: Candidate, *, place: Path) -> None:
    """Raise IntegrityError naming the first recorded file that would lie outside of the candidate's folder."""
    for name in candidate.files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in name or "\0" in name:
            raise IntegrityError(f"{place} records a file {name!r} outside of its folder; run `dvc repro`")


def read_bounded(path: Path) -> bytes:
    """Contents of `path`. Raises MissingError when it is not there, InputError when larger than what is ever loaded."""
    if not path.is_file():
        raise MissingError(f"{path} is missing; run `dvc repro`, or `wattline champion` for the champion")
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit(path.name):
            raise InputError(f"{path} has {size} bytes, at most {limit(path.name)} are loaded; deploy a smaller model")
        return stream.read(size)


def limit(name: str) -> int:
    """Most bytes of a file of this name that are ever loaded."""
    return LARGEST_GRAPH if name == GRAPH else LARGEST_RECORD


def parse(content: bytes, kind: type[AnyRecord], *, place: Path) -> AnyRecord:
    """The record in `content`. Raises InputError naming `place` when it is not a `kind`."""
    try:
        return kind.from_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{place} is not a {kind.__name__} record: {field or 'file'}: {first['msg']}") from None


def _verified(folder: Path, candidate: Candidate) -> Iterator[tuple[str, bytes]]:
    for name, expected in candidate.files.items():
        path = folder / name
        if name in (GRAPH, SIGNATURE, GOLDEN) and (name != GOLDEN or path.is_file()):
            content = read_bounded(path)
            _compare(path, hashlib.sha256(content).hexdigest(), expected)
            yield name, content
        elif path.is_file():
            _compare(path, _digest(path), expected)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _compare(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise IntegrityError(
            f"{path} has SHA-256 {found[:12]}, its record says {expected[:12]}; "
            "run `dvc repro`, or `wattline champion` for the champion"
        )
