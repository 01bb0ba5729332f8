"""files: written whole or not at all, and known by their digests."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from builders import series

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.records import Champion


def names(folder):
    """Everything in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


class DiedError(Exception):
    """The process ends here."""


class TestOneFile:
    def test_it_is_replaced_with_its_folders_made(self, tmp_path):
        path = tmp_path / "a" / "b" / "report.json"
        files.write_text(path, "first")
        files.write_text(path, "sécond")
        assert path.read_bytes() == "sécond".encode()
        assert names(path.parent) == ["report.json"]

    def test_what_is_no_regular_file_stays_what_it_is(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        for path in (pipe, tmp_path):
            with pytest.raises(InputError, match="no regular file; name another path"):
                files.write_bytes(path, b"new")
        assert pipe.is_fifo()
        assert list(tmp_path.iterdir()) == [pipe]

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_a_failure_half_way_keeps_the_former_file(self, tmp_path, monkeypatch, step):
        path = tmp_path / "report.json"
        files.write_text(path, "former")

        def die(*_):
            raise DiedError

        monkeypatch.setattr("os.fsync" if step == "fsync" else "pathlib.Path.replace", die)
        with pytest.raises(DiedError):
            files.write_text(path, "new")
        assert path.read_text() == "former"
        assert names(tmp_path) == ["report.json"]

    def test_what_a_killed_process_of_the_same_number_left_is_overwritten(self, tmp_path):
        (tmp_path / f".report.json.{os.getpid()}").write_text("half a repo")
        files.write_text(tmp_path / "report.json", "new")
        assert names(tmp_path) == ["report.json"]
        assert (tmp_path / "report.json").read_text() == "new"


class TestOneFolder:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "data" / "raw"
        folder.mkdir(parents=True)
        (folder / "former").write_text("former")
        return folder

    def test_it_is_swapped_as_a_whole(self, folder):
        with files.replace_directory(folder) as fresh:
            (fresh / "new").write_text("new")
            assert names(folder) == ["former"], "the former folder stays until the end"
        assert names(folder) == ["new"]
        assert names(folder.parent) == ["raw"]

    def test_a_failure_keeps_the_former_folder_and_leaves_nothing_else(self, folder):
        with pytest.raises(DiedError), files.replace_directory(folder) as fresh:
            raise DiedError((fresh / "new").write_text("half"))
        assert names(folder) == ["former"]
        assert names(folder.parent) == ["raw"]

    def test_an_interrupt_keeps_the_former_folder(self, folder):
        with pytest.raises(KeyboardInterrupt), files.replace_directory(folder):
            raise KeyboardInterrupt
        assert names(folder) == ["former"]
        assert names(folder.parent) == ["raw"]

    def test_a_failure_of_the_swap_itself_brings_the_former_folder_back(self, folder, monkeypatch):
        rename = type(folder).rename

        def dying(path, target):
            if target == folder and (path / "new").exists():
                raise DiedError
            return rename(path, target)

        monkeypatch.setattr(type(folder), "rename", dying)
        with pytest.raises(DiedError), files.replace_directory(folder) as fresh:
            (fresh / "new").write_text("new")
        assert names(folder) == ["former"]
        assert names(folder.parent) == ["raw"]

    def test_a_first_one_is_made_with_its_parents(self, tmp_path):
        with files.replace_directory(tmp_path / "a" / "b") as fresh:
            (fresh / "new").write_text("new")
        assert names(tmp_path / "a" / "b") == ["new"]

    @pytest.mark.parametrize("suffix", ["", ".former"])
    def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(self, folder, suffix):
        leftover = folder.with_name(f".raw.{os.getpid()}{suffix}")
        leftover.mkdir()
        (leftover / "half").write_text("half")
        with files.replace_directory(folder) as fresh:
            assert names(fresh) == []
            (fresh / "new").write_text("new")
        assert names(folder) == ["new"]
        assert names(folder.parent) == ["raw"]

    def test_the_former_folder_of_a_process_killed_in_the_swap_comes_back(self, folder):
        folder.rename(folder.with_name(f".raw.{os.getpid()}.former"))
        with pytest.raises(DiedError), files.replace_directory(folder):
            raise DiedError
        assert names(folder) == ["former"]
        assert names(folder.parent) == ["raw"]

    def test_a_process_that_is_killed_leaves_the_former_folder(self, folder):
        program = (
            "import os, signal, sys; from pathlib import Path; from wattline import files\n"
            "with files.replace_directory(Path(sys.argv[1])) as fresh:\n"
            "    (fresh / 'new').write_text('half')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        killed = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
        assert killed.returncode == -9
        assert names(folder) == ["former"]


class TestDigests:
    def test_they_name_every_file_below_but_not_gits(self, tmp_path):
        files.write_text(tmp_path / "b" / "c", "c")
        files.write_text(tmp_path / "a", "a")
        files.write_text(tmp_path / ".gitignore", "*")
        assert files.digests(tmp_path) == {
            "a": hashlib.sha256(b"a").hexdigest(),
            "b/c": hashlib.sha256(b"c").hexdigest(),
        }

    @pytest.mark.parametrize("change", ["bytes", "name", "another"])
    def test_any_change_changes_the_digest_of_the_folder(self, tmp_path, change):
        files.write_text(tmp_path / "a", "a")
        before = files.directory_digest(tmp_path)
        if change == "bytes":
            files.write_text(tmp_path / "a", "b")
        elif change == "name":
            (tmp_path / "a").rename(tmp_path / "b")
        else:
            files.write_text(tmp_path / "b", "")
        assert files.directory_digest(tmp_path) != before

    def test_an_absent_file_is_named_with_the_remedy(self, tmp_path):
        with pytest.raises(IntegrityError, match=r"model\.onnx is missing; run `dvc repro`"):
            files.sha256(tmp_path / "model.onnx")


class TestReports:
    @pytest.fixture(autouse=True)
    def project(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_a_report_is_read_back(self):
        files.write_report("decide", Champion(version="1", digest="aa"))
        assert files.read_report("decide", Champion) == Champion(version="1", digest="aa")

    def test_an_absent_one_is_named_with_the_remedy(self):
        with pytest.raises(InputError, match=r"reports/decide\.json is missing; run `dvc repro` to make it"):
            files.read_report("decide", Champion)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [('{"version": "1", "stage": "x"}', "stage"), ("{", "file"), ("[]", "file"), ("", "file"), ("\xff", "file")],
    )
    def test_one_that_is_something_else_is_named_in_one_line(self, text, reason):
        path = files.report_path("decide")
        path.parent.mkdir()
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(
            InputError, match=rf"^reports/decide\.json is not a Champion record: {reason}: .+"
        ) as caught:
            files.read_report("decide", Champion)
        assert "\n" not in str(caught.value)


class TestSeries:
    def test_rows_come_back_as_they_were(self, tmp_path):
        rows = series(20)
        rows.target[3] = np.nan
        files.write_series(tmp_path, rows, ["power", "temperature", "load"])
        found = files.read_series(tmp_path / "node-02.parquet", ["power", "temperature", "load"], group="rack-1")
        assert (found.unit, found.group, found.history) == ("node-02", "rack-1", 0)
        for name in ("timestamps", "values", "target"):
            np.testing.assert_array_equal(getattr(found, name), getattr(rows, name))
            assert getattr(found, name).dtype == getattr(rows, name).dtype

    def test_columns_come_in_the_order_that_is_asked_for(self, tmp_path):
        rows = series(5)
        files.write_series(tmp_path, rows, ["power", "temperature", "load"])
        found = files.read_series(tmp_path / "node-02.parquet", ["load", "power"], group="rack-1")
        np.testing.assert_array_equal(found.values, rows.values[:, [2, 0]])

    def test_equal_rows_give_equal_bytes_wherever_they_lie(self, tmp_path):
        columns = ["power", "temperature", "load"]
        here = files.write_series(tmp_path / "here", series(50), columns)
        there = files.write_series(tmp_path / "there" / "deeper", series(50), columns)
        assert here == there == files.sha256(tmp_path / "here" / "node-02.parquet")
        assert str(tmp_path).encode() not in (tmp_path / "here" / "node-02.parquet").read_bytes()
