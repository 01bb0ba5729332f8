"""A version is exported whole, the same bytes each time, without what must not leave; or no file appears."""

import json
import os
import pickle
import resource
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from registry.archive.site import KEY, NOW, OTHER, TRUSTED, Version, content, entry, history, signed, stated, version
from wattline import files
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.records import Candidate
from wattline.registry.archive import unpacked

Change = Callable[[Path], object]


@pytest.fixture
def mine(exporter: Version, tmp_path: Path) -> Version:
    """A copy that may be changed."""
    shutil.copytree(exporter.folder, tmp_path / "mine")
    return replace(exporter, folder=tmp_path / "mine")


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """A disk that takes no more than `size` bytes of each file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_exported_is_what_arrives(exporter: Version, tmp_path: Path, private: Path):
    path = exporter.exported(tmp_path)
    assert path == tmp_path / "anomaly-7.wattline.tar"
    with unpacked(path, TRUSTED) as arrived:
        for part in ("candidate", "reports", "cards", "provenance"):
            assert files.digests(arrived.folder / part) == files.digests(exporter.folder / part)
        assert arrived.envelope == exporter.statement
        assert arrived.history == exporter.history
        assert arrived.statement == stated(exporter.folder)
        assert arrived.evidence.candidate.digest == arrived.manifest.candidate
        assert (arrived.manifest.site, arrived.manifest.exported, arrived.manifest.entries) == ("site A", NOW, 3)
        assert arrived.folder.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in arrived.folder.rglob("*") if file.is_file()} == {0o600}
    assert not arrived.folder.exists()


def test_the_folder_vanishes_also_when_the_importer_fails(good: bytes, tmp_path: Path, private: Path):
    (tmp_path / "good.tar").write_bytes(good)
    with pytest.raises(RuntimeError, match="registry"), unpacked(tmp_path / "good.tar", TRUSTED):
        raise RuntimeError("the registry is down")


def test_equal_content_gives_equal_bytes_whenever_and_by_whoever_it_was_written(mine: Version, good: bytes):
    for path in mine.folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    zone = timezone(timedelta(hours=9))
    assert mine.exported(mine.folder / "a.tar", now=NOW.astimezone(zone)).read_bytes() == good


def test_any_tar_can_list_and_read_it(exporter: Version, tmp_path: Path, good: bytes):
    path = exporter.exported(tmp_path)
    listed = subprocess.run(["tar", "-tvf", path], capture_output=True, text=True, check=True)
    assert not listed.stderr
    assert {line.split()[0] for line in listed.stdout.splitlines()} == {"-rw-r--r--"}
    names = [line.split()[-1] for line in listed.stdout.splitlines()]
    assert names[0] == "manifest.dsse.json"
    assert names[1:] == sorted(names[1:])
    assert content(good)["cards/anomaly.md"] == b"# anomaly\n"


def test_neither_data_nor_keys_nor_what_else_lies_there_moves(mine: Version, good: bytes):
    for name in ("data/raw/node-01.parquet", "keys/private.pem", "statements/7/statement.dsse.json", "notes.txt"):
        files.write_text(mine.folder / name, "secret")
    assert mine.exported(mine.folder / "a.tar").read_bytes() == good


def test_a_version_without_entries_in_the_log_can_be_moved(exporter: Version, tmp_path: Path, private: Path):
    path = replace(exporter, history=()).exported(tmp_path)
    with unpacked(path, TRUSTED) as arrived:
        assert (arrived.history, arrived.manifest.last) == ((), None)


def test_the_site_that_signs_need_not_be_the_one_that_promoted(exporter: Version, tmp_path: Path, private: Path):
    path = exporter.exported(tmp_path, key=OTHER)
    with unpacked(path, (OTHER.public, KEY.public)) as arrived:
        assert arrived.manifest.key == OTHER.public.id


def test_an_archive_that_was_there_is_replaced(exporter: Version, tmp_path: Path, good: bytes):
    target = tmp_path / "there.tar"
    target.write_bytes(b"old")
    assert exporter.exported(target) == target
    assert target.read_bytes() == good
    assert exporter.exported(tmp_path / "new" / "one.tar").read_bytes() == good


def linked(folder: Path) -> None:
    (folder / "cards" / "other.md").symlink_to("/etc/hostname")


def piped(folder: Path) -> None:
    os.mkfifo(folder / "cards" / "other.md")


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "reports" / "decide.json", "w") as archive:
        archive.writestr("model.pkl", b"x")


def recorded(folder: Path, name: str, inside: bytes) -> None:
    """Make a file of the candidate that its record knows."""
    (folder / "candidate" / name).write_bytes(inside)
    path = folder / "candidate" / "candidate.json"
    candidate = Candidate.from_json(path.read_bytes())
    changed = {"files": {**candidate.files, name: files.sha256(folder / "candidate" / name)}}
    path.write_text(candidate.model_copy(update=changed).to_json())


PICKLE = pickle.dumps({"weights": [1.0]})
REFUSED: dict[str, tuple[Change, str]] = {
    "a link": (linked, "no regular file"),
    "a pipe": (piped, "no regular file"),
    "a folder": (lambda folder: (folder / "cards" / "more").mkdir(), "no regular file"),
    "a hidden file": (lambda folder: (folder / "cards" / ".env").write_text("x"), "with more in it than letters"),
    "a strange name": (lambda folder: (folder / "cards" / "ä.md").write_text("x"), r"'cards/\\xe4.md'"),
    "a pickle": (lambda folder: recorded(folder, "model.pkl", PICKLE), r"only .onnx.* move"),
    "a pickle as graph": (lambda folder: recorded(folder, "model.onnx", PICKLE), "model.onnx is a pickle"),
    "an old pickle as graph": (
        lambda folder: recorded(folder, "model.onnx", pickle.dumps([1], protocol=0)),
        "model.onnx is a pickle",
    ),
    "a pickle as weights": (
        lambda folder: recorded(folder, "weights.safetensors", PICKLE),
        "weights.safetensors is a pickle",
    ),
    "a zip as report": (zipped, "is a ZIP archive"),
    "binary as card": (lambda folder: (folder / "cards" / "anomaly.md").write_bytes(b"\x80\x04"), "is no UTF-8 text"),
    "a key in a card": (
        lambda folder: (folder / "cards" / "anomaly.md").write_bytes(KEY.pem(None)),
        "cards/anomaly.md holds a private key",
    ),
    "an unrecorded file": (
        lambda folder: (folder / "candidate" / "more.md").write_text("x"),
        "more.md is not recorded",
    ),
    "other weights": (
        lambda folder: (folder / "candidate" / "golden.json").write_text("{}"),
        "golden.json has SHA-256",
    ),
    "a changed report": (
        lambda folder: (folder / "reports" / "ingest.json").write_text("{}"),
        "'reports/ingest.json' is not what its statement says",
    ),
    "no statement for a card": (lambda folder: (folder / "cards" / "anomaly.cdx.json").unlink(), "is not what its st"),
    "no provenance": (lambda folder: (folder / "provenance" / "dvc.lock").unlink(), "holds no provenance/dvc.lock"),
    "no report": (lambda folder: (folder / "reports" / "measure.json").unlink(), "holds no reports/measure.json"),
    "nothing": (shutil.rmtree, "holds no candidate/candidate.json"),
    "a malformed record": (
        lambda folder: (folder / "candidate" / "candidate.json").write_text("{}"),
        "not a Candidate",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_not_leave_or_does_not_belong_is_named_and_no_archive_appears(mine: Version, name: str):
    change, reason = REFUSED[name]
    change(mine.folder)
    target = mine.folder.parent / "out"
    with pytest.raises(IntegrityError, match=reason) as caught:
        mine.exported(target / "a.tar")
    assert str(caught.value).startswith(f"{mine.folder} cannot be exported: ")
    assert not target.exists()


def pretty(envelope: bytes) -> bytes:
    return json.dumps(json.loads(envelope), indent=1).encode()


@pytest.mark.parametrize("stage", ["decide", "evaluate", "measure"])
def test_a_report_about_another_candidate_is_not_exported_even_when_it_was_signed(mine: Version, stage: str):
    report = mine.folder / "reports" / f"{stage}.json"
    digest = Candidate.from_json((mine.folder / "candidate" / "candidate.json").read_bytes()).digest
    report.write_text(report.read_text().replace(digest, "0" * 64))
    changed = replace(mine, statement=signed(stated(mine.folder)))
    with pytest.raises(IntegrityError, match=f"reports/{stage}.json is about candidate 000000000000"):
        changed.exported(mine.folder / "a.tar")


def test_a_statement_or_history_of_something_else_is_not_exported(mine: Version, tmp_path: Path):
    other = stated(mine.folder).files
    another = version(tmp_path / "another")
    recorded(another.folder, "golden.json", b"{}")
    assert other != stated(another.folder).files
    for changed, reason in (
        (replace(mine, statement=signed(stated(another.folder))), "its statement is about candidate"),
        (replace(mine, statement=b"{}"), "its statement is no signed envelope"),
        (replace(mine, statement=mine.history[0]), "its statement is an envelope of another type"),
        (replace(mine, history=[b"x"]), "entry 1 of its history is no signed envelope"),
        (replace(mine, history=[pretty(mine.history[0])]), "entry 1 of its history is not one line"),
        (replace(mine, history=[mine.history[0].replace(b'"payload":"', b'"payload":"?')]), "is no signed envelope"),
        (replace(mine, history=[mine.statement]), "entry 1 of its history is an envelope of another type"),
        (replace(mine, history=mine.history[::-1]), "has entry 4 of the log after entry 9"),
        (replace(mine, history=[*history([3]), entry(4, "0" * 64)]), "entry 4 of its history does not follow entry 3"),
    ):
        with pytest.raises(IntegrityError, match=reason):
            changed.exported(tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize("site", ["", "a\nb", "\x1b[31m", "x" * 201, "a\u202eb"])
def test_a_site_that_cannot_be_printed_is_refused(exporter: Version, tmp_path: Path, site: str):
    with pytest.raises(InputError, match="site"):
        exporter.exported(tmp_path, site=site)


def test_a_model_name_that_is_no_file_name_is_refused(exporter: Version, tmp_path: Path):
    changed = replace(exporter, statement=signed(stated(exporter.folder, name="../evil")))
    with pytest.raises(InputError, match="name: String should match"):
        changed.exported(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 100, 5000, 20000])
def test_a_full_disk_leaves_the_old_archive_and_nothing_else(exporter: Version, tmp_path: Path, size: int):
    target = tmp_path / "there.tar"
    target.write_bytes(b"old")
    with small_files(size), pytest.raises(InputError, match="cannot be exported: File too large"):
        exporter.exported(target)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"there.tar": b"old"}


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_a_full_disk_leaves_nothing_of_an_import(good: bytes, tmp_path: Path, private: Path, size: int):
    path = tmp_path / "good.tar"
    path.write_bytes(good)
    with small_files(size), pytest.raises(InputError, match="File too large"), unpacked(path, TRUSTED):
        pytest.fail("it was let in")


def test_a_file_that_changes_while_it_is_read_is_noticed(mine: Version, monkeypatch: pytest.MonkeyPatch):
    from wattline.registry.archive import belonging, packing

    def meanwhile(folder: Path, *rest: object) -> None:
        belonging.check(folder, *rest)
        (folder / "cards" / "anomaly.md").write_text("# another\n")

    monkeypatch.setattr(packing, "belonging", type("Meanwhile", (), {"check": staticmethod(meanwhile)}))
    with pytest.raises(WattlineError, match=r"cards/anomaly\.md changed while it was read"):
        mine.exported(mine.folder.parent / "a.tar")
    assert not (mine.folder.parent / "a.tar").exists()
