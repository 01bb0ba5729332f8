"""One lock for each model, with a fencing token: who was overtaken while asleep cannot write any more.

The lock ends when it is given back, when its holder is dead, or when its time is over. The token is what protects:
every entry is appended under one, in the transaction that looks whether it is still the newest.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from wattline.errors import SupersededError
from wattline.registry.ledger.clocks import Clock, identity, is_gone
from wattline.registry.ledger.tables import LOCKS

BEATS = 4
"""A lock is renewed so often within its time."""


@dataclass(frozen=True)
class Lock:
    """That this process may change a model.

    token: larger than that of everybody who had it before
    """

    model: str
    token: int
    holder: str


def take(connection: Connection, model: str, *, clock: Clock, seconds: float, one_machine: bool) -> Lock | str:
    """The lock of `model`, or in words who has it. In one transaction that locks the row.

    seconds: after which it ends without a renewal [s]
    """
    found = connection.execute(select(LOCKS).where(LOCKS.c.model == model).with_for_update()).one_or_none()
    now = clock(connection)
    taken = found is not None and found.holder is not None and found.expires > now
    if taken and not is_gone(found.host, found.process, found.started, one_machine=one_machine):
        return f"process {found.process} on {found.host.partition(' ')[0]}"
    host, process, start = identity()
    token, holder = (found.token if found is not None else 0) + 1, secrets.token_hex(16)
    values = {
        "token": token,
        "holder": holder,
        "host": host,
        "process": process,
        "started": start,
        "expires": now + seconds,
    }
    if found is None:
        connection.execute(insert(LOCKS).values(model=model, **values))
    else:
        connection.execute(update(LOCKS).where(LOCKS.c.model == model).values(**values))
    return Lock(model, token, holder)


def check(connection: Connection, lock: Lock) -> None:
    """Raise SupersededError when somebody else took the lock since. Holds the row until the transaction ends."""
    found = connection.execute(select(LOCKS.c.token).where(LOCKS.c.model == lock.model).with_for_update()).scalar_one()
    if found != lock.token:
        raise SupersededError(
            f"this process was too slow: {lock.model} was taken over meanwhile (token {found}, this one has "
            f"{lock.token}); nothing was written, look at `wattline audit show` and run the command again"
        )


def renew(connection: Connection, lock: Lock, *, clock: Clock, seconds: float) -> bool:
    """Whether the lock was still ours; it lasts `seconds` [s] from now then."""
    mine = (LOCKS.c.model == lock.model) & (LOCKS.c.token == lock.token) & (LOCKS.c.holder == lock.holder)
    done = connection.execute(update(LOCKS).where(mine).values(expires=clock(connection) + seconds))
    return bool(done.rowcount == 1)


def give_back(connection: Connection, lock: Lock) -> None:
    """End the lock, unless it is somebody else's by now."""
    mine = (LOCKS.c.model == lock.model) & (LOCKS.c.token == lock.token)
    connection.execute(update(LOCKS).where(mine).values(holder=None))


@contextmanager
def beating(beat: Callable[[], bool], *, seconds: float) -> Iterator[None]:
    """Renew a lock in the background while the block runs.

    beat: renews it once, and says whether it was still ours
    seconds: after which it would end [s]
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(seconds / BEATS):
            with suppress(SQLAlchemyError):  # the next beat may get through
                if not beat():
                    return

    thread = threading.Thread(target=run, name="wattline-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
