"""The checkpoints of one training, as its task sees them."""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wattline.checkpoints import attempt, joining, stored
from wattline.checkpoints.attempt import Attempt
from wattline.checkpoints.stored import Stored
from wattline.checkpoints.told import Told
from wattline.errors import IntegrityError, SupersededError, WattlineError
from wattline.task import Checkpoint, Due, Processes

MINUTES = 10.0
KEPT = 2
"""So many stay: should the newest be spoilt, there is the one before it."""
RETRY_SECONDS = 60.0

logger = logging.getLogger(__name__)


class Kept:
    """The checkpoints of one training, which outlive its interruptions.

    The first process begins an attempt and alone writes; an attempt that sees a later one raises SupersededError.

    folder: of this training alone, seen by all its processes and by later attempts
    identity: of rows, options, seed and code; a checkpoint of another one is refused
    processes: those that train together
    launch: what they have in common and no other launch has
    minutes: between two checkpoints [min]
    told: what signals have said; by default nothing is heard
    """

    def __init__(
        self,
        folder: Path,
        *,
        identity: str = "",
        processes: Processes | None = None,
        launch: str = "",
        minutes: float = MINUTES,
        told: Told | None = None,
    ) -> None:
        self._folder, self._identity, self._launch = folder, identity, launch
        self._processes, self._told = processes or Processes(), told or Told()
        self._seconds = 60 * minutes
        self._next = time.monotonic() + self._seconds
        self._attempt: Attempt | None = None
        if self._processes.rank == 0:
            self._attempt = Attempt(folder)
            joining.clear(folder, launch)

    def newest(self) -> Checkpoint | None:
        """The last whole one; every process gets the same one, so every process has to ask, before its first step.

        Raises InputError for one of another training, WattlineError when it cannot be read or a process does not come.
        """
        patience = self._processes.patience_seconds
        if self._attempt is None:
            said = joining.join(self._folder, self._launch, rank=self._processes.rank, seconds=patience)
            return self._named(said.resumes) if said.resumes else None
        # Before a file is chosen: nobody writes any more who could still be asked to begin.
        members = joining.gather(self._folder, self._launch, count=self._processes.count, seconds=patience)
        found, path = self._last_whole()
        self._attempt.say(resumes=str(path.relative_to(self._folder)) if path else "", members=members)
        return found

    def due(self) -> Due:
        """STOP once a signal said so; KEEP when it is time, which the first process alone tells."""
        self._told.heeded = True
        if self._told.by is not None:
            return Due.STOP
        return Due.KEEP if self._attempt and time.monotonic() >= self._next else Due.NO

    def keep(self, checkpoint: Checkpoint, due: Due = Due.KEEP) -> None:
        """Keep it, whole or not at all; then raise PausedError when `due` is STOP.

        A task that trains alone and never asks is stopped here, too. Where there is no room, the former checkpoint
        stays and the training goes on, and tries again after a minute.
        Raises SupersededError when another attempt has begun, WattlineError when it is to stop and cannot keep a thing.
        """
        self._told.heeded = True
        if self._told.by is not None and self._processes.count == 1:
            due = Due.STOP
        if self._attempt is not None:
            self._keep(self._attempt, checkpoint, due)
        if due is Due.STOP:
            raise self._told.error(
                f"step {checkpoint.step} is kept; start the training again and it goes on from there"
            )

    def check(self) -> None:
        """Raise SupersededError where another attempt has begun: what this one has made is not for anybody."""
        if self._attempt is not None:
            self._attempt.check()

    def remove(self) -> None:
        """Forget a training that has reached its end."""
        finished = self._folder.with_name(f"{self._folder.name}.finished")
        shutil.rmtree(finished, ignore_errors=True)
        # In one step: a copy that begins meanwhile finds all of it or nothing.
        with suppress(FileNotFoundError):  # another copy has reached the end, too
            self._folder.rename(finished)
        shutil.rmtree(finished, ignore_errors=True)

    def _keep(self, own: Attempt, checkpoint: Checkpoint, due: Due) -> None:
        own.check()
        try:
            written = stored.write(own.folder, checkpoint, identity=self._identity)
        except FileNotFoundError:
            own.check()
            raise SupersededError(f"{own.folder} is gone; another copy of this training has ended") from None
        except OSError as error:
            self._not_kept(checkpoint, error.strerror or str(error), due)
            return
        self._next = time.monotonic() + self._seconds
        self._prune(own, written)

    def _not_kept(self, checkpoint: Checkpoint, reason: str, due: Due) -> None:
        kept = list(self._all())
        former = f"the one of step {kept[-1].step} stays" if kept else "there is none yet"
        said = f"step {checkpoint.step} of the training cannot be kept in {self._folder} ({reason}); {former}"
        if due is Due.STOP:
            raise WattlineError(f"{said}; make room and start the training again: what came after that is done again")
        logger.warning("%s; the training goes on, make room", said)
        self._next = time.monotonic() + min(RETRY_SECONDS, self._seconds)

    def _prune(self, own: Attempt, written: Stored) -> None:
        """Leave the last two, of this attempt and earlier ones; what a later one has is its own business."""
        again = [one for one in stored.listed(own.folder) if one.step == written.step and one != written]
        former = [one for one in self._all() if _number(one.path) <= own.number and one not in (written, *again)]
        for one in again + former[: 1 - KEPT]:
            one.path.unlink(missing_ok=True)
        for number in range(1, own.number):
            for path in stored.leftovers(attempt.folder_of(self._folder, number)):
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[Stored]:
        """Every checkpoint, by attempt and step: clocks of nodes do not agree, numbers do."""
        for number in attempt.numbers(self._folder):
            yield from stored.listed(attempt.folder_of(self._folder, number))

    def _last_whole(self) -> tuple[Checkpoint | None, Path | None]:
        found = list(self._all())
        for one in reversed(found):
            try:
                return self._read(one), one.path
            except FileNotFoundError:
                # An earlier attempt that still lives has removed it, and has kept a later one.
                continue
            except IntegrityError as error:
                logger.warning("%s; it is set aside as %s, and the one before it is used", error, stored.SPOILT)
                one.path.rename(one.path.with_name(one.path.name + stored.SPOILT))
        if found:
            logger.warning("no whole checkpoint is left in %s; the training begins from nothing", self._folder)
        return None, None

    def _read(self, one: Stored) -> Checkpoint:
        try:
            return stored.read(one, identity=self._identity)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise WattlineError(
                f"{one.path} cannot be read ({error.strerror}); look at the file system and start the training again, "
                "or remove that file: the checkpoint before it is used then"
            ) from None

    def _named(self, path: str) -> Checkpoint:
        """The one that the first process goes on from."""
        folder, name = (self._folder / path).parent, (self._folder / path).name
        for one in stored.listed(folder):
            if one.path.name == name:
                return self._read(one)
        raise WattlineError(
            f"{self._folder / path}, from which process 0 goes on, is not seen by process {self._processes.rank}; "
            "look whether all nodes see that folder"
        )


def _number(path: Path) -> int:
    """Of the attempt in whose folder a checkpoint lies."""
    return int(path.parent.name.removeprefix("attempt-"))
