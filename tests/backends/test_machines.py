"""Clocks that are wrong and disks that are full."""

import errno
import json
import sqlite3
import time
from pathlib import Path

import pytest

from backends.clocks import python
from backends.disks import PAGE, small_disk

TELL = """
import datetime, json, logging, subprocess, sys, threading, time
from datetime import UTC, date, datetime as held
begun = time.monotonic()
threading.Event().wait(0.05)
now = held.now(UTC)
found = [time.time(), time.time_ns() / 1e9, now.timestamp(), held.now().timestamp(), held.today().timestamp()]
found += [held.utcnow().replace(tzinfo=UTC).timestamp(), time.mktime(time.localtime()), time.mktime(time.gmtime())]
found += [logging.LogRecord("", 0, "", 0, "", None, None).created]
if len(sys.argv) == 1:
    command = [sys.executable, "-c", sys.stdin.read(), "child"]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    found += json.loads(child.stdout)["found"]
found += [time.time() + 86400 * (date.today() - now.date()).days]
print(json.dumps({"found": found, "waited": time.monotonic() - begun, "kind": type(now) is held}))
"""


@pytest.mark.parametrize("ahead", [3600.0, -3600.0, 90_000.0])
def test_every_clock_of_a_process_is_wrong_by_the_same(ahead: float, tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text(TELL)
    code = "import sys, io; text = open('tell.py').read(); sys.stdin = io.StringIO(text); exec(text)"
    before = time.time()
    done = python("-c", code, ahead_seconds=ahead, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["found"]) == 20
    for moment in told["found"]:
        assert before - 1 <= moment - ahead <= time.time() + 1
    assert told["waited"] < 60
    assert told["kind"]


def test_wattline_runs_with_a_wrong_clock(tmp_path: Path) -> None:
    done = python("-m", "wattline", "--help", ahead_seconds=-3600, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_small_disk_is_full_where_it_says(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16 * PAGE) as disk:
        for pages in range(4):
            disk.leave(pages)
            assert disk.free == pages * PAGE
            with (disk.folder / "file").open("wb", buffering=0) as stream:
                for _ in range(pages):
                    assert stream.write(b"x" * PAGE) == PAGE
                with pytest.raises(OSError, match="No space left") as caught:
                    stream.write(b"x")
            assert caught.value.errno == errno.ENOSPC
            (disk.folder / "file").unlink()
    assert not (tmp_path / "disk").exists()


def test_sqlite_finds_a_small_disk_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 * PAGE) as disk:
        connection = sqlite3.connect(disk.folder / "a.db")
        connection.execute("CREATE TABLE entries (text)")
        connection.commit()
        disk.leave(1)
        with pytest.raises(sqlite3.OperationalError, match="full"):  # noqa: PT012
            connection.execute("INSERT INTO entries VALUES (?)", ("x" * 8 * PAGE,))
            connection.commit()
        connection.close()


def test_a_small_disk_is_gone_also_when_the_test_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), small_disk(tmp_path / "disk", PAGE):
        _ = 1 / 0
    assert not (tmp_path / "disk").exists()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
