"""Who may be champion after whom: newer by the audit log, and an older version only by a rollback on the record."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from wattline import files
from wattline.errors import InputError
from wattline.records import Record
from wattline.serving.inference import contents
from wattline.serving.versions.loading import Loaded, LoadError
from wattline.signing.entry import Entry

FILE = "accepted.json"


class Accepted(Record):
    """A champion that was accepted.

    sequence: of the entry that made it champion; None where it came without one
    """

    version: str = Field(pattern=r"^[1-9][0-9]*$")
    sequence: int | None = Field(default=None, ge=1)


class Memory(Record):
    """Content of the file: registered model -> the champion that was accepted last."""

    accepted: Mapping[str, Accepted] = {}


def objection(found: Accepted, last: Accepted | None, *, on_record: bool = False) -> str | None:
    """Why `found` may not follow `last`, or None.

    on_record: whether the entry that made `found` champion tells of a rollback
    """
    if last is None:
        return None
    if found.sequence is None and last.sequence is not None:
        return f"it comes without the audit entry that made it champion, version {last.version} had one"
    if found.sequence is not None and last.sequence is not None:
        if found.sequence < last.sequence:
            return "its audit entry is older"
        if found.sequence == last.sequence:
            # The same entry once more, or two logs: both were signed by a key that is trusted.
            return None if found.version == last.version else "two audit entries have the same number"
    if int(found.version) < int(last.version) and not on_record:
        return "it is an older version, and no rollback is on record"
    return None


class Succession:
    """The memory in one file, shared by all processes of a server."""

    def __init__(self, path: Path) -> None:
        """path: of the file; it need not be there yet"""
        self._path = path

    @contextmanager
    def following(self, loaded: Loaded) -> Iterator[None]:
        """Make `loaded` the champion that was accepted last, when the block ends well; nobody else may meanwhile.

        Raises LoadError: stale when it may not follow the last one, or when nobody knows which one that was; copy when
        there is no room to remember it.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                memory = self._read(loaded)
                found = self._checked(loaded, memory.accepted.get(loaded.name))
                yield
                if memory.accepted.get(loaded.name) != found:
                    accepted = {**memory.accepted, loaded.name: found}
                    files.write_text(self._path, Memory(accepted=accepted).to_json())
        except OSError as error:
            raise LoadError(
                f"version {loaded.version} of {loaded.name} cannot be remembered in {self._path}: {error}; make room "
                "there, or let this user write there",
                reason="copy",
            ) from None

    def _checked(self, loaded: Loaded, last: Accepted | None) -> Accepted:
        entry = loaded.promotion
        found = Accepted(version=loaded.version, sequence=None if entry is None else entry.sequence)
        reason = objection(found, last, on_record=entry is not None and _tells_of_rollback(entry))
        if last is not None and reason is not None:
            raise LoadError(
                f"{_named(found)} of {loaded.name} may not follow {_named(last)}: {reason}; promote a newer version or "
                f"run `wattline rollback`, or where the audit log was begun anew, remove {self._path} and restart",
                reason="stale",
            )
        return found

    def _read(self, loaded: Loaded) -> Memory:
        try:
            if not self._path.exists():
                return Memory()
            return contents.parse(contents.read_bounded(self._path), Memory, place=self._path)
        except InputError as error:
            raise LoadError(
                f"whether version {loaded.version} may follow the last champion of {loaded.name} is unknown: {error}; "
                f"if `wattline audit show` says that it is the champion, remove {self._path} and restart",
                reason="stale",
            ) from None


def _tells_of_rollback(entry: Entry) -> bool:
    """Whether `entry` is a rollback, or a promotion after one that this server did not see."""
    former = entry.former or ""
    passed = former.isdecimal() and entry.version is not None and int(former) < int(entry.version)
    return entry.action == "rollback" or passed


def _named(one: Accepted) -> str:
    return f"version {one.version} ({f'entry {one.sequence}' if one.sequence is not None else 'no entry'})"
