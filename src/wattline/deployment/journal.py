"""What is under way in production, in a file that is there exactly as long: who finds it was preceded by a kill."""

from typing import Literal

from wattline import files
from wattline.deployment.state import Place
from wattline.records import Record

FILE = "promotion.json"


class Journal(Record):
    """One promotion or rollback.

    image: by digest, that is to answer; version: of the model in it
    former: the champion before; None where there was none
    """

    action: Literal["promote", "rollback"]
    image: str
    version: str
    former: str | None
    reason: str = ""


class Log:
    """The file, beside the state of the environment."""

    def __init__(self, place: Place) -> None:
        self._path = place.folder / FILE

    def read(self) -> Journal | None:
        """What is under way; None where nothing is."""
        return files.read_record(self._path, Journal) if self._path.exists() else None

    def write(self, journal: Journal) -> None:
        """Say so before anything is changed."""
        files.write_text(self._path, journal.to_json())

    def clear(self) -> None:
        """It is done, or undone."""
        self._path.unlink(missing_ok=True)
