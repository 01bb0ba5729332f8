"""Whatever ends a pull, what was stored before stays intact, and the same command then ends as if nothing had been."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from snapshots.conftest import hours, newest, steady, take, tree, write
from wattline import files, partitions
from wattline.errors import InputError, WattlineError
from wattline.settings import settings
from wattline.snapshots import store

POINTS = 14


def test_a_pull_that_is_killed_at_any_step_ends_byte_equal(project: Path, monkeypatch: pytest.MonkeyPatch):
    template = project / "template"
    template.mkdir()
    monkeypatch.chdir(template)
    write(steady(until=12))
    take(0, 12)
    write(steady(3, until=30))
    before = tree()
    monkeypatch.chdir(project)
    command = [sys.executable, "-m", "snapshots.killed", str(project), str(POINTS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=seeing_tests())
    assert answer.returncode == 0, answer.stderr
    steps, *killed = map(int, answer.stdout.split())
    assert steps > 5 * POINTS
    assert len(killed) == POINTS
    expected = left(project / "undisturbed")
    assert len(expected) > len(before)
    for number, step in enumerate(killed):
        assert left(project / str(number)) == expected, f"killed at step {step} of {steps}"


def seeing_tests() -> dict[str, str]:
    """The environment of a process that imports these tests."""
    return os.environ | {"PYTHONPATH": f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"}


def left(folder: Path) -> dict[str, bytes]:
    """Everything that a finished snapshot leaves, with Wattline's own folder."""
    return {str(Path(name).relative_to(folder)): content for name, content in tree(folder).items()}


@pytest.fixture
def stored(project: Path) -> dict[str, bytes]:
    """A snapshot of the first half of the samples."""
    write(steady())
    take(0, 30)
    return tree()


def test_a_source_that_goes_down_leaves_pages_and_what_was_stored(stored: dict[str, bytes]):
    with pytest.raises(InputError, match="does not answer"):
        take(24, 54, down_at=hours(40).isoformat())
    assert tree() == stored
    pages = [path for path in Path(".wattline/pulls").rglob("*") if path.is_dir() and path.name.isdigit()]
    assert len(pages) == 2, "the pages before it went down are kept"


def test_an_answer_that_breaks_off_is_no_page(stored: dict[str, bytes]):
    with pytest.raises(InputError, match="in the middle"):
        take(24, 54, down_at=hours(40).isoformat(), fails_late=True)
    assert tree() == stored
    assert not list(Path(".wattline/pulls").rglob("*.parquet.*"))
    assert len(list(Path(".wattline/pulls").rglob("snapshot.json"))) == 2


def test_a_pull_goes_on_with_the_pages_that_it_has(stored: dict[str, bytes], monkeypatch: pytest.MonkeyPatch):
    asked = []

    def opened(name, options, *, seed):
        asked.append(options["start"])
        if len(asked) == 3:
            raise InputError("down")
        return real(name, options, seed=seed)

    from wattline.snapshots import pull

    real = pull.open_source
    monkeypatch.setattr(pull, "open_source", opened)
    with pytest.raises(InputError, match="down"):
        take(30, 54)
    take(30, 54)
    assert asked == [hours(30), hours(36), hours(42), hours(42), hours(48)]
    assert newest().rows == 2 * 54 * 6


def test_a_full_disk_leaves_what_was_stored(stored: dict[str, bytes], project: Path):
    write(steady(until=60) | {"n9": {"power": [(at.timestamp(), 1.0) for at in map(hours, range(48))]}})
    largest = max(path.stat().st_size for path in Path("data").rglob("*.parquet"))
    code = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest - 200}, {largest - 200}))\n"
        "from snapshots.conftest import take\n"
        "take(24, 60, page_hours=3)\n"
    )
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=seeing_tests())
    assert "File too large" in answer.stderr
    assert tree() == stored
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    take(24, 60, page_hours=3)
    assert newest().rows > 2 * 60 * 6


def test_two_at_once_the_second_is_refused(stored: dict[str, bytes]):
    with store.opened(), pytest.raises(WattlineError, match="another process takes a snapshot into data/snapshots"):
        take(0, 60)
    assert tree() == stored


def test_the_lock_of_a_killed_process_holds_nobody_up(stored: dict[str, bytes]):
    code = (
        "import time\nfrom wattline.snapshots import store\n"
        "with store.opened() as folder, store.space(folder) as place:\n"
        "    (place / 'half').write_text('made')\n    print('here', flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        with pytest.raises(WattlineError, match="another process"):
            take(0, 60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    assert take(0, 30).name == newest().id
    assert tree() == stored


class TestDamage:
    """Stored bytes that changed are found before they are merged, linked on or ingested."""

    def test_a_partition_that_would_be_merged(self, stored: dict[str, bytes]):
        path = Path(next(name for name in stored if "day=2026-03-02/n0" in name))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)
        with pytest.raises(WattlineError, match=rf"{path} has SHA-256 .*`dvc pull"):
            take(24, 60)
        assert not (partitions.FOLDER / ".building").exists()

    def test_a_partition_that_would_be_linked(self, stored: dict[str, bytes]):
        path = Path(next(name for name in stored if "day=2026-03-01/n0" in name))
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(WattlineError, match=rf"{path} has SHA-256 .*`dvc pull"):
            take(24, 60)

    def test_a_record_that_was_edited(self, stored: dict[str, bytes]):
        path = Path(next(name for name in stored if name.endswith("snapshot.json")))
        path.chmod(0o644)
        path.write_text(path.read_text().replace('"cadence_seconds": 600.0', '"cadence_seconds": 60.0'))
        with pytest.raises(WattlineError, match="describes other rows"):
            take(24, 60)

    def test_a_snapshot_that_is_not_here(self, stored: dict[str, bytes]):
        shutil.rmtree(partitions.FOLDER / newest().id)
        with pytest.raises(InputError, match=r"is not here; get it: `dvc pull data/snapshots/.*\.dvc`"):
            take(24, 60)

    def test_files_cannot_be_written_by_accident(self, stored: dict[str, bytes]):
        modes = {path.stat().st_mode & 0o222 for path in Path("data").rglob("*.parquet")}
        assert modes == {0}


def test_digests_are_of_what_lies_there(stored: dict[str, bytes]):
    folder = partitions.FOLDER / newest().id
    for unit in newest().units:
        for partition in unit.partitions:
            assert files.sha256(partitions.path_of(folder, unit.name, partition.day)) == partition.sha256


def test_nothing_of_a_finished_pull_stays(stored: dict[str, bytes]):
    assert not list((settings().state / "pulls").iterdir())
