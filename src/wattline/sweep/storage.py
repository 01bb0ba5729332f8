"""Where trials are kept so that they outlive every process: a journal in the state folder, or an SQL database."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattline.errors import InputError, WattlineError
from wattline.settings import settings
from wattline.sweep.plan import Plan

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, JournalStorage
    from sqlalchemy.engine import URL

JOURNAL = "journal.log"
KINDS = ("postgresql", "sqlite", "mysql")


@contextmanager
def opened(plan: Plan) -> Iterator["BaseStorage"]:
    """The storage of a study. Raises WattlineError naming it, in a line without secrets, when it does not work."""
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    place = str(plan.folder / JOURNAL) if plan.sweep.storage == "journal" else "the database of WATTLINE_SWEEP_STORAGE"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's about its own interfaces
        try:
            yield _journal(plan.folder) if plan.sweep.storage == "journal" else _database()
        except (StorageInternalError, SQLAlchemyError, ImportError) as error:
            reason = type(getattr(error, "__cause__", None) or error).__name__
            raise WattlineError(
                f"{place} did not do its work ({reason}); start it, or check its address and who may write there"
            ) from None
        except OSError as error:
            raise WattlineError(f"{place} cannot be written: {error.strerror}; make room and run it again") from None


def _journal(folder: Path) -> "JournalStorage":
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock, JournalStorage

    class Journal(JournalFileBackend):
        """A journal that a full disk, or a writer that was killed, does not spoil: half a line is taken back."""

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            lock.acquire()
            try:
                whole = _whole_lines(path)
                if whole < path.stat().st_size:
                    os.truncate(path, whole)
            finally:
                lock.release()
            super().append_logs(logs)

    path = folder / JOURNAL
    # Made by linking a name, which is exclusive on NFS, too, where flock and O_EXCL may not be.
    lock = JournalFileSymlinkLock(str(path))
    return JournalStorage(Journal(str(path), lock_obj=lock))


def _whole_lines(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        start = max(0, end - 1)
        stream.seek(start)
        if end == 0 or stream.read(1) == b"\n":
            return end
        stream.seek(0)
        return stream.read().rfind(b"\n") + 1


def address() -> "URL":
    """Of the database. Raises InputError where WATTLINE_SWEEP_STORAGE names none; what it holds is not told."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    given = settings().sweep_storage
    if given is None:
        raise InputError(
            "sweep.storage is sql, but WATTLINE_SWEEP_STORAGE is not set; set it to postgresql+psycopg://USER@HOST/"
            "DATABASE, with the password in a file that PGPASSFILE names, or set sweep.storage to journal"
        )
    try:
        found = make_url(given.get_secret_value())
    except (ArgumentError, ValueError):
        found = None
    if found is None or found.get_backend_name() not in KINDS:
        raise InputError(
            "WATTLINE_SWEEP_STORAGE is no address of a database that is known here; set it to "
            "postgresql+psycopg://USER@HOST/DATABASE or sqlite:///FILE"
        )
    return found


def holds_secret(found: "URL") -> bool:
    """Whether an address has a password, be it among the options after its `?`."""
    return bool(found.password) or any("password" in name.lower() for name in found.query)


def _database() -> "BaseStorage":
    from optuna.storages import RDBStorage

    found = address()
    options = {"pool_pre_ping": True} if found.get_backend_name() == "postgresql" else {}
    return RDBStorage(found.render_as_string(hide_password=False), engine_kwargs=options)
