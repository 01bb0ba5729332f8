"""The file of observations is never taken for another, and what is wrong with it is said or mended."""

import logging
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.serving.observing import SIGNATURE, STEPS, batch, feed, opened, started
from wattline.errors import InputError
from wattline.serving.refusal import RefusedError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "observe.db")


@pytest.mark.parametrize("content", [b"task: {name: x}\n" * 100, b"\x7fELF" + bytes(5000), b"SQLite"])
def test_a_file_that_is_no_database_is_left_alone(path: str, content: bytes):
    Path(path).parent.mkdir()
    Path(path).write_bytes(content)
    with pytest.raises(InputError, match=r"serving\.observe\.file .*observe\.db cannot be used"):
        opened(path)
    assert Path(path).read_bytes() == content


def test_a_database_of_something_else_is_left_alone(path: str):
    Path(path).parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE runs (id INTEGER)")
    other.commit()
    other.close()
    before = Path(path).read_bytes()
    with pytest.raises(InputError, match="something else"):
        opened(path)
    assert Path(path).read_bytes() == before


def test_a_file_of_a_later_format_is_left_alone(path: str):
    opened(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(InputError, match="another version"):
        opened(path)


@pytest.mark.parametrize("place", ["a-file/observe.db", "a-folder", "/proc/observe.db"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str):
    (tmp_path / "a-file").write_text("")
    (tmp_path / "a-folder").mkdir()
    with pytest.raises(InputError, match=r"serving\.observe\.file .* cannot be used: .*; move it away or name"):
        opened(str(tmp_path / place))


def filled(path: str) -> bytes:
    store = opened(path)
    feed(store, range(STEPS))
    store.close()
    return Path(path).read_bytes()


def ruined(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    return {
        "zeros": bytes(len(content)),
        "half": content[: middle // 512 * 512],
        "stub": content[:50],
        "schema": content[:100] + b"\xff" * 1900 + content[2000:],
        "all but the header": content[:100] + os.urandom(len(content) - 100),
    }[how]


@pytest.mark.parametrize("how", ["zeros", "half", "schema", "all but the header"])
def test_a_corrupt_file_is_moved_aside_and_units_start_empty(path: str, how: str, caplog: pytest.LogCaptureFixture):
    content = ruined(filled(path), how)
    Path(path).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        store = opened(path)
        observed = store.observe(batch(0), SIGNATURE)
    assert {(one.state, one.have) for one in observed} == {("filling", 1)}
    assert "is corrupt" in caplog.text
    (aside,) = Path(path).parent.glob("observe.db.corrupt-*Z")
    assert aside.read_bytes()[: len(content)] == content
    store.close()
    store = opened(path)
    assert store.observe(batch(1), SIGNATURE)[0].have == 2
    store.close()


def test_a_file_that_becomes_corrupt_under_two_running_servers_is_moved_aside_once(
    path: str, caplog: pytest.LogCaptureFixture
):
    stores = [opened(path), opened(path)]
    feed(stores[0], range(STEPS))
    stores[0].settle()
    for store in stores:
        store._connection.execute("PRAGMA cache_size = 0")
    content = Path(path).read_bytes()
    for part in (Path(path), Path(path + "-wal")):
        with part.open("r+b") as stream:
            stream.write(content[:100] + os.urandom(part.stat().st_size - 100))
    with caplog.at_level(logging.WARNING):
        have = [store.observe(batch(step), SIGNATURE)[0].have for step, store in enumerate([*stores, *stores])]
    assert have == [1, 2, 3, 4]
    assert len(list(Path(path).parent.glob("observe.db.corrupt-*Z"))) == 1
    for store in stores:
        store.close()


def test_a_file_that_was_removed_under_a_running_server_is_made_again(path: str):
    store = opened(path)
    feed(store, range(3))
    shutil.rmtree(Path(path).parent)
    assert store.observe(batch(3), SIGNATURE)[0].have == 1
    store.close()
    store = opened(path)
    assert store.observe(batch(4), SIGNATURE)[0].have == 2
    store.close()


def test_a_place_that_became_unusable_is_a_503_until_it_is_usable_again(path: str):
    store = opened(path)
    folder = Path(path).parent
    shutil.rmtree(folder)
    folder.write_text("in the way")
    for _ in range(2):
        with pytest.raises(RefusedError) as caught:
            store.observe(batch(0), SIGNATURE)
        assert caught.value.status == 503
    folder.unlink()
    assert store.observe(batch(0), SIGNATURE)[0].have == 1
    store.close()


def test_workers_that_start_at_once_make_one_file(path: str):
    children = [started(path, first=7, stride=1, count=1) for _ in range(4)]
    for child in children:
        said, _ = child.communicate("\n", timeout=240)
        assert (child.returncode, said.split()) == (0, ["ready", "7"])
    store = opened(path)
    assert store.observe(batch(8), SIGNATURE)[0].have == 2
    store.close()
