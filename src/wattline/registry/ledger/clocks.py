"""The clock that a lock expires by, and how a dead holder is told from a slow one.

Never the wall clock of a client: two hosts need not agree on it, and it jumps. With PostgreSQL it is the server's. A
SQLite file is shared by the processes of one machine only; there it is the time since that machine started.
"""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Connection

DEAD = ("Z", "X")
Clock = Callable[[Connection], float]


def clock_of(dialect: str) -> Clock:
    """Seconds by the clock that all who use such a database share."""
    return _server if dialect == "postgresql" else _machine


def _server(connection: Connection) -> float:
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def _machine(_: Connection) -> float:
    return time.monotonic()


def host() -> str:
    """This machine since it started: after a restart it is another one, and whoever held a lock before is gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}".strip()


def started(process: int) -> str:
    """When a process of this machine started [clock ticks since boot]; empty where it is dead or not known."""
    try:
        found = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        # Nobody waits for the children of a container's first process: they stay on the list when they are dead.
        return "" if found[0] in DEAD else found[19]
    except (OSError, IndexError):
        return ""


def is_gone(holder_host: str, process: int, start: str, *, one_machine: bool) -> bool:
    """Whether a holder is surely not there any more.

    one_machine: everybody who can have held it is a process of this machine, or of one that was started again
    """
    name, _, boot = host().partition(" ")
    holder_name, _, holder_boot = holder_host.partition(" ")
    if one_machine and boot != holder_boot:
        return True
    return holder_name == name and bool(start) and (holder_boot != boot or started(process) != start)


def identity() -> tuple[str, int, str]:
    """Host, process id and start of this process."""
    return host(), os.getpid(), started(os.getpid())
