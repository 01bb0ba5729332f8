"""What was taken back stays out: after a restart, and in every process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from wattline.serving.versions import rejected
from wattline.serving.versions.rejected import Rejected, Rejections


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "rejected.json"


def test_nothing_is_rejected_at_first(path: Path):
    assert Rejected(path).reason("a" * 64) is None
    assert not path.exists()


def test_it_is_remembered_by_content_across_restarts(path: Path):
    Rejected(path).add("a" * 64, version="7", reason="errors")
    assert Rejected(path).reason("a" * 64) == "errors"
    assert Rejected(path).reason("b" * 64) is None
    (one,) = Rejections.from_json(path.read_bytes()).rejected
    assert (one.version, one.time.tzname()) == ("7", "UTC")


def test_another_worker_sees_it_at_its_next_look(path: Path):
    here, there = Rejected(path), Rejected(path)
    assert there.reason("a" * 64) is None
    here.add("a" * 64, version="7", reason="latency")
    assert there.reason("a" * 64) == "latency"
    assert here.reason("a" * 64) == "latency"


def test_the_file_is_read_only_when_it_changed(path: Path, monkeypatch):
    one = Rejected(path)
    one.add("a" * 64, version="7", reason="errors")
    assert one.reason("a" * 64) == "errors"
    monkeypatch.setattr(rejected.contents, "read_bounded", lambda _: pytest.fail("read again"))
    assert one.reason("a" * 64) == "errors"


def test_one_digest_stands_there_once_with_its_last_reason(path: Path):
    one = Rejected(path)
    one.add("a" * 64, version="7", reason="errors")
    one.add("b" * 64, version="8", reason="errors")
    one.add("a" * 64, version="9", reason="latency")
    assert [found.version for found in Rejections.from_json(path.read_bytes()).rejected] == ["8", "9"]


def test_removing_the_file_gives_everybody_another_chance(path: Path):
    one = Rejected(path)
    one.add("a" * 64, version="7", reason="errors")
    assert one.reason("a" * 64) == "errors"
    path.unlink()
    assert one.reason("a" * 64) is None


def test_the_list_does_not_grow_for_ever(path: Path, monkeypatch):
    monkeypatch.setattr(rejected, "MOST", 3)
    one = Rejected(path)
    for number in range(5):
        one.add(f"{number:064}", version=str(number), reason="errors")
    assert [found.version for found in Rejections.from_json(path.read_bytes()).rejected] == ["2", "3", "4"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"rejected": [{"digest": 1}]}'])
def test_a_file_that_is_no_list_rejects_everything_and_stays_for_a_person_to_look_at(path: Path, content: str, caplog):
    path.parent.mkdir()
    path.write_text(content)
    one = Rejected(path)
    reason = one.reason("a" * 64)
    assert reason is not None
    assert re.search(r"rejected\.json.*correct or remove it", reason)
    one.add("b" * 64, version="1", reason="errors")
    assert "version 1 was taken back" in caplog.text
    assert path.read_text() == content
    path.unlink()
    assert (one.reason("a" * 64), one.reason("b" * 64)) == (None, "errors")


def test_without_a_disk_it_is_remembered_as_long_as_the_process_lives(tmp_path: Path, caplog):
    (tmp_path / "cache").write_text("a file where the folder should be")
    one = Rejected(tmp_path / "cache" / "rejected.json")
    one.add("a" * 64, version="1", reason="errors")
    assert one.reason("a" * 64) == "errors"
    assert one.reason("b" * 64) is None
    assert "version 1 was taken back" in caplog.text


PROGRAM = """
import sys
from pathlib import Path
from wattline.serving.versions.rejected import Rejected
for number in range(5):
    Rejected(Path(sys.argv[1])).add(f"{sys.argv[2]}-{number}", version="1", reason="errors")
"""


def test_processes_that_add_at_once_lose_nothing(path: Path):
    workers = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(path), name]) for name in "ab"]
    assert [worker.wait() for worker in workers] == [0, 0]
    found = {one.digest for one in Rejections.from_json(path.read_bytes()).rejected}
    assert found == {f"{name}-{number}" for name in "ab" for number in range(5)}
    assert [other.name for other in path.parent.iterdir() if other.name.startswith(".")] == []
