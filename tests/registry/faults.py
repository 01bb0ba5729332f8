"""Processes that are killed, stopped or out of disk at one step of what they do to a registry.

They are forked: what they need was imported before, so that each costs tens of milliseconds. Steps are what changes
something that others see: calls of MLflow's client that write, files that arrive in the store, and statements and
commits of the ledger.
"""

import ctypes
import errno
import json
import os
import signal
import sqlite3
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, NoReturn

import mlflow
import mlflow.store.artifact.local_artifact_repo as local
import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from wattline.registry import artifacts, promotion, statements
from wattline.registry.ledger import ledger
from wattline.settings import settings

WRITES = (
    "create_run",
    "set_terminated",
    "create_registered_model",
    "create_model_version",
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "delete_model_version",
)
END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
ENGINES: "weakref.WeakSet[sqlalchemy.Engine]" = weakref.WeakSet()
Step = Callable[[str], None]


@event.listens_for(sqlalchemy.Engine, "engine_connect")
def _remember(connection: sqlalchemy.Connection) -> None:
    ENGINES.add(connection.engine)


def disconnect() -> None:
    """Let go of every database, so that its file may be replaced."""
    for engine in list(ENGINES):
        engine.dispose()


@dataclass
class Process:
    """A forked process.

    steps: their names, as far as it came
    kind: "returned", "killed", or the class of what it raised; answer: what it gave, or the message
    """

    pid: int
    reports: int
    go: int
    steps: list[str] = field(default_factory=list)
    kind: str = "killed"
    answer: Any = None

    def stopped(self) -> bool:
        """Wait until it stops itself, or is over. Whether it stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        return os.WIFSTOPPED(status)

    def until(self, wanted: str) -> None:
        """Wait until it is at the step `wanted`."""
        while wanted not in self.steps:
            self._read(os.read(self.reports, 65536))

    def resume(self) -> "Process":
        """Let it go on, to its end."""
        os.kill(self.pid, signal.SIGCONT)
        return self.wait()

    def start(self) -> None:
        """Let it go over the line where it waits for others."""
        os.write(self.go, b"1")  # not closed: others that were forked later hold it open
        os.close(self.go)

    def wait(self) -> "Process":
        """Wait for its end."""
        with os.fdopen(self.reports, "rb") as stream:
            self._read(stream.read())
        os.waitpid(self.pid, 0)
        return self

    def _read(self, content: bytes) -> None:
        for line in content.splitlines():
            said = json.loads(line)
            if "step" in said:
                self.steps.append(said["step"])
            else:
                self.kind, self.answer = said["kind"], said["answer"]


def fork(act: Callable[[], Any], step: Step = lambda _: None, *, line: str | None = None) -> Process:
    """Run `act` in another process, where `step` is called with the name of each step before it is done.

    line: name of the step at which it waits for `start`; "begin" is the first one
    """
    reading, writing = os.pipe()
    waiting, go = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        os.close(waiting)
        return Process(pid, reading, go)
    os.close(go)
    return _child(act, step, writing=writing, waiting=waiting, line=line)


def killed_at(number: int) -> Step:
    """Kill the process at its step `number`, from 0."""
    seen: list[str] = []

    def step(name: str) -> None:
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        seen.append(name)

    return step


def stopped_at(wanted: str) -> Step:
    """Stop the process the first time that it comes to the step `wanted`."""
    seen: set[str] = set()

    def step(name: str) -> None:
        if name == wanted and name not in seen:
            seen.add(name)
            os.kill(os.getpid(), signal.SIGSTOP)

    return step


def full_at(number: int) -> Step:
    """From step `number` on the disk is full, for the ledger and the store alike."""
    seen: list[str] = []

    def step(name: str) -> None:
        seen.append(name)
        if len(seen) <= number:
            return
        if name.startswith("ledger"):
            reason = sqlite3.OperationalError("database or disk is full")
            raise OperationalError(name, None, reason)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return step


@contextmanager
def clock_off(seconds: float) -> Iterator[None]:
    """Everything that asks this process for the time of day gets another one. The time since boot stays."""
    now = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.fromtimestamp(time.time(), tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + seconds)
        patch.setattr(ledger, "datetime", Shifted)
        yield


def _child(act: Callable[[], Any], step: Step, *, writing: int, waiting: int, line: str | None) -> NoReturn:
    """End without what pytest would do at exit, and with pytest at the latest, even when it was stopped."""
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    try:
        for engine in list(ENGINES):
            engine.dispose(close=False)  # connections of SQLite must not be carried over a fork
        settings.cache_clear()

        def reported(name: str) -> None:
            _tell(writing, step=name)
            if name == line:
                os.read(waiting, 1)
            step(name)

        with pytest.MonkeyPatch.context() as patch:
            _watch(patch, reported)
            try:
                reported("begin")
                kind, answer = "returned", act()
            except Exception as error:
                kind, answer = type(error).__name__, str(error)
        _tell(writing, kind=kind, answer=answer)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _tell(writing: int, **content: Any) -> None:
    os.write(writing, json.dumps(content, default=str).encode() + b"\n")


def _watch(patch: pytest.MonkeyPatch, step: Step) -> None:
    for name in WRITES:
        patch.setattr(mlflow.MlflowClient, name, _announced(getattr(mlflow.MlflowClient, name), name, step))
    patch.setattr(artifacts.Folder, "write", _announced(artifacts.Folder.write, "log_artifact", step))
    copy = local.shutil_copytree_without_file_permissions

    def copied(source: str, target: str) -> None:
        """As MLflow does it, and one part after the other."""
        for part in sorted(Path(source).iterdir()):
            step(f"upload {part.name}")
            (Path(target) / part.name).mkdir(exist_ok=True)
            files = sorted(path for path in part.rglob("*") if path.is_file())
            for path in files[:1]:  # a part of the part
                (Path(target) / path.relative_to(source)).write_bytes(path.read_bytes()[:10])
            step(f"upload {part.name}, in the middle")
            copy(str(part), str(Path(target) / part.name))

    patch.setattr(local, "shutil_copytree_without_file_permissions", copied)

    locked = ledger.Ledger.locked

    def waiting(self: ledger.Ledger, model: str) -> Any:
        step("waiting for the lock")
        return locked(self, model)

    patch.setattr(ledger.Ledger, "locked", waiting)

    check = promotion._check
    attach = statements.attach

    def checked(*arguments: Any) -> Any:
        found = check(*arguments)
        step("checked")
        return found

    def signed(*arguments: Any, **options: Any) -> Any:
        found = attach(*arguments, **options)
        step("signed")
        return found

    patch.setattr(promotion, "_check", checked)
    patch.setattr(statements, "attach", signed)

    def before(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        verb, _, rest = statement.partition(" ")
        if verb in ("INSERT", "UPDATE") and "wattline_" in rest:
            step(f"ledger {verb.lower()} {'entry' if 'wattline_audit' in rest else 'lock'}")
            if "wattline_audit" in rest:
                connection.info["wattline"] = True

    def commit(connection: Any) -> None:
        if connection.info.pop("wattline", False):
            step("ledger commit entry")

    event.listen(sqlalchemy.Engine, "before_cursor_execute", before)
    event.listen(sqlalchemy.Engine, "commit", commit)


def _announced(call: Callable[..., Any], name: str, step: Step) -> Callable[..., Any]:
    def announced(*arguments: Any, **options: Any) -> Any:
        step(name)
        return call(*arguments, **options)

    return announced
