"""One attempt at a training: a numbered folder of its own, and the word on whether a later one has begun."""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from wattline import files
from wattline.errors import SupersededError
from wattline.records import Record

NAME = re.compile(r"^attempt-([0-9]{4,})$")
RECORD = "attempt.json"


class Began(Record):
    """How an attempt began.

    token: of this attempt alone: its number is given anew once a training was finished and is begun from nothing
    resumes: path of the checkpoint that it goes on from, below the folder of the training; "" from the beginning
    members: rank -> token of the other processes that belong to it
    """

    token: str
    resumes: str = ""
    members: Mapping[int, str] = {}


class Attempt:
    """The attempt of this process. Making one ends the right of every earlier one to write.

    folder: in which it alone writes
    """

    def __init__(self, training: Path) -> None:
        """Take the next number. However many begin at once, on however many nodes, each gets its own."""
        training.mkdir(parents=True, exist_ok=True)
        number = max(numbers(training), default=0)
        while True:
            number += 1
            try:
                folder_of(training, number).mkdir()
                break
            except FileExistsError:
                continue
        self.number, self.folder, self._training = number, folder_of(training, number), training
        self.began = Began(token=secrets.token_hex(8))
        files.write_text(self.folder / RECORD, self.began.to_json())

    def say(self, *, resumes: str, members: Mapping[int, str]) -> None:
        """Tell the other processes where this attempt goes on from."""
        self.began = self.began.model_copy(update={"resumes": resumes, "members": members})
        files.write_text(self.folder / RECORD, self.began.to_json())

    def check(self) -> None:
        """Raise SupersededError when a later attempt has begun, or has ended already."""
        later = max(numbers(self._training), default=0)
        if later > self.number:
            raise SupersededError(
                f"{self.folder} is superseded by attempt {later}: a second copy of this training has begun, as happens "
                "when the scheduler has lost sight of this one; nothing more is written here"
            )
        found = began(self.folder)
        if found is None or found.token != self.began.token:
            raise SupersededError(
                f"{self.folder} was removed while this training ran: another copy of it has ended, and its work stands"
            )


def numbers(training: Path) -> list[int]:
    """Of all attempts that have begun, in their order."""
    try:
        return sorted(int(found[1]) for path in training.iterdir() if (found := NAME.match(path.name)))
    except FileNotFoundError:
        return []


def folder_of(training: Path, number: int) -> Path:
    return training / f"attempt-{number:04}"


def began(folder: Path) -> Began | None:
    """What an attempt's folder says; None where nothing is said yet, or any more."""
    try:
        return Began.from_json((folder / RECORD).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
