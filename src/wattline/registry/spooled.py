"""Trainings kept as files until a store can be reached: numbered, whole or not at all, never changed."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from wattline import files
from wattline.errors import IntegrityError
from wattline.records import Candidate, Energy, Record, TrainingEnergy
from wattline.settings import settings

NAME = re.compile(r"^([0-9]{6,})\.json$")
REMEDY = "restore it or move it away, and run `wattline sync` again; the records after it wait"


class Training(Record):
    """One training, as it is logged.

    curves: one mapping for each epoch
    energy: what it took; without its attempts where it was kept by an earlier version of Wattline
    tags: where it comes from, told where and when it was trained
    started_ms, ended_ms: milliseconds since 1970-01-01 UTC
    """

    # A curve may hold what JSON has no word for, and what is sent later must be what was logged.
    model_config = ConfigDict(ser_json_inf_nan="strings")

    candidate: Candidate
    params: Mapping[str, str]
    curves: tuple[Mapping[str, float], ...]
    energy: TrainingEnergy | Energy | None
    tags: Mapping[str, str]
    started_ms: int = Field(ge=0)
    ended_ms: int = Field(ge=0)

    @property
    def spent(self) -> Energy | None:
        """Energy of all attempts."""
        return self.energy.total if isinstance(self.energy, TrainingEnergy) else self.energy

    @property
    def digest(self) -> str:
        """SHA-256 of the record: two trainings have the same one only when even their times agree."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


class Kept(Record):
    """What a file holds: a training and its digest."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    sha256: str
    training: Training


def folder() -> Path:
    """Where trainings wait; those that were sent lie below it in sent/."""
    return settings().state / "offline"


def sent_folder() -> Path:
    return folder() / "sent"


def keep(training: Training) -> Path:
    """Write `training` as the next file, however many processes do so at once; gives its path."""
    folder().mkdir(parents=True, exist_ok=True)
    content = Kept(sha256=training.digest, training=training).to_json()
    temporary = folder() / f".{os.uname().nodename}.{os.getpid()}.{training.digest[:12]}"
    try:
        files.write_text(temporary, content)
        temporary.chmod(0o444)
        return _linked(temporary)
    finally:
        temporary.unlink(missing_ok=True)


def waiting() -> list[Path]:
    """Every training that was not sent, the oldest first. Raises IntegrityError naming a file that is none."""
    found = [path for path in folder().glob("*.json") if not path.name.startswith(".")]
    for path in found:
        if not NAME.match(path.name):
            raise IntegrityError(f"{path} has a name that no record has; {REMEDY}")
    return sorted(found, key=_number)


def read(path: Path) -> Training:
    """The training in `path`. Raises IntegrityError unless every byte is as it was written."""
    content = path.read_bytes()
    try:
        kept = Kept.from_json(content)
    except ValidationError:
        raise IntegrityError(f"{path} is no record of a training, it was cut or altered; {REMEDY}") from None
    found = _digest(content.decode(), kept.sha256)
    if found != kept.sha256:
        raise IntegrityError(f"{path} holds {found[:12]}, it says {kept.sha256[:12]}; {REMEDY}")
    return kept.training


def _digest(text: str, said: str) -> str:
    """Digest of the training as it stands in the text of a `Kept`.

    Not of the record: one that an earlier version of Wattline kept lacks fields that it would be given here.
    """
    head, foot = f'{{\n  "sha256": "{said}",\n  "training": ', "\n}\n"
    if not text.startswith(head) or not text.endswith(foot):
        return hashlib.sha256(text.encode()).hexdigest()
    training = text[len(head) : -len(foot)].replace("\n  ", "\n") + "\n"
    return hashlib.sha256(training.encode()).hexdigest()


def mark_sent(path: Path) -> Path:
    """Move `path` to those that were sent; gives its new place."""
    sent_folder().mkdir(exist_ok=True)
    return path.rename(sent_folder() / path.name)


def _linked(temporary: Path) -> Path:
    """Give `temporary` the next free number. A link, unlike a rename, takes no other's place."""
    number = max(_numbers(), default=0)
    while True:
        number += 1
        path = folder() / f"{number:06}.json"
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            continue
        return path


def _numbers() -> Iterator[int]:
    # In this order: a file that is moved meanwhile is seen at least once, so no number is given twice.
    for place in (folder(), sent_folder()):
        yield from (_number(path) for path in place.glob("*.json") if NAME.match(path.name))


def _number(path: Path) -> int:
    return int(path.stem)
