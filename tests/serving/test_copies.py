"""Copies are whole, remembered, and few."""

import os
import shutil
import time
from pathlib import Path

import pytest
from builders import write_candidate

from wattline import files
from wattline.serving.versions import copies
from wattline.serving.versions.copies import Copies
from wattline.serving.versions.loading import LoadError


@pytest.fixture
def cache(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "cache")


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("version")
    write_candidate(folder, golden=True)
    return folder


def keep(cache: Copies, version: Path, key: str = "one") -> Path:
    with cache.fresh() as fresh:
        shutil.copytree(version, fresh, dirs_exist_ok=True)
        return cache.keep(fresh, key)


def names(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache").iterdir()}


def test_a_copy_is_found_by_its_name(cache: Copies, version: Path, tmp_path: Path):
    assert cache.find("one") is None
    assert cache.last() is None
    assert keep(cache, version) == cache.find("one") == tmp_path / "cache" / "one"
    assert names(tmp_path) == {"one"}


def test_what_was_not_finished_leaves_nothing(cache: Copies, tmp_path: Path):
    with cache.fresh() as fresh:
        (fresh / "model.onnx").write_bytes(b"half")
    assert names(tmp_path) == set()


def test_a_disk_that_fails_is_an_error_of_loading(cache: Copies, tmp_path: Path):
    def fill() -> None:
        with cache.fresh() as fresh:
            (fresh / "no folder" / "model.onnx").write_bytes(b"")

    with pytest.raises(LoadError, match=r"cannot be copied to .*cache.*make room there") as caught:
        fill()
    assert caught.value.reason == "copy"
    assert names(tmp_path) == set()
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(LoadError, match="cannot be copied"), Copies(tmp_path / "taken").fresh():
        pytest.fail("there is no folder")


def test_a_pointer_that_cannot_be_written_does_not_stop_the_version(cache: Copies, version: Path, monkeypatch, caplog):
    copy = keep(cache, version)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_text", full)
    cache.accept(copy)
    assert "No space left" in caplog.text


def test_what_a_killed_process_of_the_same_number_left_does_not_disturb(cache: Copies, version: Path, tmp_path: Path):
    with cache.fresh() as fresh:
        (fresh / "rubbish").mkdir()
        left = shutil.copytree(fresh, tmp_path / "left")
        name = fresh.name
    shutil.move(left, tmp_path / "cache" / name)
    with cache.fresh() as fresh:
        assert list(fresh.iterdir()) == []


def test_a_damaged_copy_is_none_and_is_replaced(cache: Copies, version: Path):
    copy = keep(cache, version)
    (copy / "model.onnx").write_bytes(b"damaged")
    assert cache.find("one") is None
    keep(cache, version)
    assert (copy / "model.onnx").read_bytes() == (version / "model.onnx").read_bytes()


def test_an_intact_copy_stays_the_same_files(cache: Copies, version: Path):
    before = (keep(cache, version) / "model.onnx").stat().st_ino
    assert (keep(cache, version) / "model.onnx").stat().st_ino == before


def test_the_copy_that_served_is_remembered_by_another_process(cache: Copies, version: Path, tmp_path: Path):
    copy = keep(cache, version)
    assert cache.last() is None
    cache.accept(copy)
    assert Copies(tmp_path / "cache").last() == copy


@pytest.mark.parametrize("content", ["", "\n", "../version\n", "/etc\n", ".\n", "..\n", "absent\n", "\udcff"])
def test_a_pointer_to_elsewhere_is_none(cache: Copies, version: Path, tmp_path: Path, content: str):
    keep(cache, version)
    shutil.copytree(version, tmp_path / "version")
    (tmp_path / "cache" / "current").write_bytes(content.encode(errors="surrogateescape"))
    assert cache.last() is None


def test_a_damaged_copy_is_not_the_last_one(cache: Copies, version: Path):
    copy = keep(cache, version)
    cache.accept(copy)
    (copy / "model.onnx").unlink()
    assert cache.last() is None


def test_the_newest_copies_stay_and_the_one_that_serves_is_among_them(cache: Copies, version: Path, tmp_path: Path):
    kept = [keep(cache, version, str(number)) for number in range(6)]
    for age, path in enumerate(reversed(kept)):
        os.utime(path, (time.time() - age, time.time() - age))
    cache.accept(kept[0])
    assert names(tmp_path) == {"0", "4", "5", "current"}
    assert cache.last() == kept[0]


def test_only_what_was_abandoned_long_ago_is_removed(cache: Copies, version: Path, tmp_path: Path):
    copy = keep(cache, version)
    old, young = tmp_path / "cache" / ".1.1", tmp_path / "cache" / ".2.2"
    for path in (old, young):
        path.mkdir()
    long_ago = time.time() - copies.ABANDONED_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    cache.accept(copy)
    assert names(tmp_path) == {"one", ".2.2", "current"}


def test_a_copy_that_cannot_be_loaded_is_removed_unless_it_is_the_last_that_served(
    cache: Copies, version: Path, tmp_path: Path
):
    served, other = keep(cache, version, "served"), keep(cache, version, "other")
    cache.accept(served)
    for copy in (served, other):
        cache.discard(copy)
    assert names(tmp_path) == {"served", copies.CURRENT}
