"""The ledger of a registry: entries are appended under a lock, and read back as they were signed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, insert, select, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from wattline.errors import InputError, WattlineError
from wattline.registry.ledger import locking, tables
from wattline.registry.ledger.clocks import clock_of
from wattline.registry.ledger.locking import Lock
from wattline.registry.ledger.tables import AUDIT
from wattline.signing import entry as entries
from wattline.signing.entry import FIRST, MOVES, REGISTERED, Action, Actor, Entry
from wattline.signing.keys import PrivateKey

DIALECTS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
SECONDS_BETWEEN_TRIES = 0.05
SECONDS_TO_CONNECT = 10
# A server that hangs or a network that swallows packets ends a command, and not only its patience.
POSTGRESQL = {
    "connect_timeout": SECONDS_TO_CONNECT,
    "tcp_user_timeout": 30_000,
    "options": "-c statement_timeout=60000",
}
"""Options of libpq: times in seconds, milliseconds, milliseconds."""


class Ledger:
    """Entries and locks in one database. Safe to use from several threads."""

    def __init__(self, engine: Engine, *, lock_seconds: float, wait_seconds: float) -> None:
        """lock_seconds: how long a lock lasts unless it is renewed [s]; wait_seconds: for somebody else's [s]"""
        self._engine = engine
        self._lock_seconds, self._wait_seconds = lock_seconds, wait_seconds
        self._one_machine = engine.dialect.name == "sqlite"
        self._clock = clock_of(engine.dialect.name)

    @contextmanager
    def locked(self, model: str) -> Iterator[Lock]:
        """The lock of `model` while the block runs. Raises WattlineError when somebody else keeps it too long."""
        lock = self._take(model)
        try:
            with locking.beating(lambda: self._renew(lock), seconds=self._lock_seconds):
                yield lock
        finally:
            with suppress(SQLAlchemyError):  # what was done is done, and the lock ends by itself
                self._give_back(lock)

    def append(
        self,
        lock: Lock,
        action: Action,
        *,
        key: PrivateKey,
        actor: Actor,
        version: str | None = None,
        digest: str | None = None,
        former: str | None = None,
        reason: str = "",
        evidence: Mapping[str, str] | None = None,
    ) -> bytes:
        """Append one signed entry about the lock's model and give its envelope: the point after which it holds.

        Raises SupersededError, and writes nothing, when the lock is somebody else's by now.
        """
        with self._writing(durably=True) as connection:
            locking.check(connection, lock)
            last = self._last(connection)
            entry = Entry(
                sequence=last[0] + 1,
                previous=last[1],
                at=datetime.now(UTC) if self._one_machine else self._now(connection),
                actor=actor,
                action=action,
                model=lock.model,
                version=version,
                digest=digest,
                former=former,
                token=lock.token,
                reason=reason,
                evidence=evidence or {},
            )
            envelope = entries.seal(entry, key)
            connection.execute(insert(AUDIT).values(envelope=envelope.decode(), **_columns(entry)))
        return envelope

    def envelopes(self) -> list[bytes]:
        """Every entry as it was signed, in order."""
        return self._envelopes()

    def rows(self) -> list[dict[str, Any]]:
        """The table as it is, in order: for who looks whether its columns say what was signed."""
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(select(AUDIT).order_by(AUDIT.c.sequence))]

    def moves(self, model: str) -> list[bytes]:
        """What made versions of `model` champion, in order."""
        return self._envelopes(AUDIT.c.model == model, AUDIT.c.action.in_(MOVES))

    def registrations(self, model: str) -> list[bytes]:
        """What made candidates versions of `model`, in order."""
        return self._envelopes(AUDIT.c.model == model, AUDIT.c.action.in_(REGISTERED))

    def about(self, model: str, version: str) -> list[bytes]:
        """Every entry about one version, in order."""
        return self._envelopes(AUDIT.c.model == model, AUDIT.c.version == version)

    def champion(self, model: str) -> bytes | None:
        """The entry that made the champion of `model` what it is; None before the first promotion."""
        query = select(AUDIT.c.envelope).where(AUDIT.c.model == model, AUDIT.c.action.in_(MOVES))
        found = self._read(query.order_by(AUDIT.c.sequence.desc()).limit(1))
        return found[0].encode() if found else None

    def registered(self, model: str, digest: str) -> bytes | None:
        """The last entry that made a candidate a version, here or by import; None where there is none."""
        query = select(AUDIT.c.envelope).where(
            AUDIT.c.model == model, AUDIT.c.digest == digest, AUDIT.c.action.in_(REGISTERED)
        )
        found = self._read(query.order_by(AUDIT.c.sequence.desc()).limit(1))
        return found[0].encode() if found else None

    def is_locked(self, model: str) -> bool:
        """Whether somebody changes `model` just now."""
        locks = tables.LOCKS
        with self._engine.connect() as connection:
            query = select(locks.c.expires).where(locks.c.model == model, locks.c.holder.is_not(None))
            expires = connection.execute(query).scalar_one_or_none()
            return expires is not None and expires > self._clock(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _take(self, model: str) -> Lock:
        deadline = time.monotonic() + self._wait_seconds
        while True:
            found = self._try_to_take(model)
            if isinstance(found, Lock):
                return found
            if time.monotonic() > deadline:
                raise WattlineError(
                    f"{model} is being changed by {found} for more than {self._wait_seconds:g} s; wait for it, "
                    "or end it and try again"
                )
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _try_to_take(self, model: str) -> Lock | str:
        try:
            with self._writing() as connection:
                return locking.take(
                    connection,
                    model,
                    clock=self._clock,
                    seconds=self._lock_seconds,
                    one_machine=self._one_machine,
                )
        except IntegrityError:  # two who made its row at once
            return "another process"

    def _renew(self, lock: Lock) -> bool:
        with self._writing() as connection:
            return locking.renew(connection, lock, clock=self._clock, seconds=self._lock_seconds)

    def _give_back(self, lock: Lock) -> None:
        with self._writing() as connection:
            locking.give_back(connection, lock)

    def _last(self, connection: Connection) -> tuple[int, str]:
        """Sequence and hash of the last entry; nobody else appends until the transaction ends."""
        if not self._one_machine:
            connection.execute(text("LOCK TABLE wattline_audit IN SHARE ROW EXCLUSIVE MODE"))
        query = select(AUDIT.c.sequence, AUDIT.c.hash).order_by(AUDIT.c.sequence.desc()).limit(1)
        found = connection.execute(query).one_or_none()
        return (found.sequence, found.hash) if found is not None else (0, FIRST)

    def _now(self, connection: Connection) -> datetime:
        found: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return found.astimezone(UTC)

    def _envelopes(self, *conditions: Any) -> list[bytes]:
        query = select(AUDIT.c.envelope).where(*conditions).order_by(AUDIT.c.sequence)
        return [envelope.encode() for envelope in self._read(query)]

    def _read(self, query: Any) -> Sequence[Any]:
        with self._engine.connect() as connection:
            found: Sequence[Any] = connection.execute(query).scalars().all()
            return found

    @contextmanager
    def _writing(self, *, durably: bool = False) -> Iterator[Connection]:
        """A transaction. durably: on the disk when it ends; a lock need not be, it ends with the machine anyway."""
        with self._engine.begin() as connection:
            if self._one_machine:
                connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durably else 'NORMAL'}")
                # Take the write lock at once: a transaction that reads first could not get it any more.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection


def connect(uri: str, *, lock_seconds: float, wait_seconds: float) -> Ledger:
    """The ledger in the database at `uri`, with its tables made where they are absent.

    uri: sqlite:///FILE or postgresql://USER@HOST/DATABASE
    Raises InputError for another kind of database.
    """
    try:
        address = make_url(uri)
        backend = address.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):  # a port that is no number
        backend = ""
    if backend not in DIALECTS:
        raise InputError(
            f"the audit log cannot be kept in a database of kind {backend or 'unknown'}; set WATTLINE_LEDGER_URI to "
            "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        )
    address = address.set(drivername=DIALECTS[backend])
    if backend == "sqlite":
        if not address.database:
            raise InputError("WATTLINE_LEDGER_URI names no file; set it to sqlite:///FILE")
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(address, connect_args={"timeout": SECONDS_TO_CONNECT})
        event.listen(engine, "connect", _prepare)
    else:
        engine = create_engine(address, pool_pre_ping=True, connect_args=POSTGRESQL)
    tables.create(engine)
    return Ledger(engine, lock_seconds=lock_seconds, wait_seconds=wait_seconds)


def _columns(entry: Entry) -> dict[str, Any]:
    return {
        "sequence": entry.sequence,
        "hash": entry.hash,
        "model": entry.model,
        "action": entry.action,
        "version": entry.version,
        "digest": entry.digest,
    }


def _prepare(connection: Any, _: Any) -> None:
    """Leave transactions of SQLite to us. With a write-ahead log, readers do not wait and a commit is one fsync."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
