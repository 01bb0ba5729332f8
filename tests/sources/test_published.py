"""SMD and JumpStarter: downloaded whole and checked, or read from a mirror; the same rows either way."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from wattline import files, splits
from wattline.errors import InputError
from wattline.settings import settings
from wattline.sources import checksums, open_source

from .conftest import Web, run

MACHINE = "machine-1-1"
TRAIN, TEST, LABEL = (f"{part}/{MACHINE}.txt" for part in ("train", "test", "test_label"))
CHECKSUMS = Path("data/checksums.json")


def text(rows: np.ndarray, newline: str = "\n") -> bytes:
    return "".join(",".join(f"{value:.6f}" for value in row) + newline for row in rows).encode()


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"train": random.random((12, 38)), "test": random.random((8, 38)), "label": np.arange(8) // 6}


@pytest.fixture
def smd(web: Web, rows: dict[str, np.ndarray]) -> Web:
    """A web server with one machine of SMD, laid out as its publisher's."""
    labels = "".join(f"{label}\n" for label in rows["label"]).encode()
    web.files |= {TRAIN: text(rows["train"]), TEST: text(rows["test"]), LABEL: labels}
    return web


def options(web: Web) -> dict[str, object]:
    return {"machines": [MACHINE], "home": web.address}


def leftovers() -> list[str]:
    return sorted(path.name for path in (settings().state / "downloads").rglob("*") if path.is_file())


def test_a_download_becomes_rows_with_assigned_times_and_labels_in_the_test_part(smd, rows, project):
    run("smd", **options(smd))
    dataset = splits.read_dataset()
    unit = dataset.units[0]
    assert (unit.name, unit.group, unit.rows) == (MACHINE, "group-1", 20)
    assert unit.test_start == datetime(2000, 1, 1, 0, 12, tzinfo=UTC)
    series = splits.read_raw(dataset, MACHINE)
    assert np.array_equal(series.values, np.round(np.concatenate([rows["train"], rows["test"]]), 6).astype(np.float32))
    assert np.isnan(series.target[:12]).all()
    assert series.target[12:].tolist() == rows["label"].tolist()
    assert [column.name for column in dataset.columns][::37] == ["m00", "m37"]
    assert any("timestamps are assigned" in note for note in dataset.notes)
    assert [(file.path, file.origin) for file in dataset.files] == [(path, "download") for path in (TRAIN, TEST, LABEL)]
    assert dataset.files[0].sha256 == files.sha256(settings().state / "downloads" / "smd" / TRAIN)


def test_a_first_download_is_pinned_and_said_so(smd, project, caplog):
    with caplog.at_level(logging.WARNING):
        run("smd", **options(smd))
    pinned = json.loads(CHECKSUMS.read_text())["smd"]
    assert sorted(pinned) == sorted([TRAIN, TEST, LABEL])
    assert f"smd: {TRAIN} had no recorded checksum; pinned SHA-256 {pinned[TRAIN]}" in caplog.text
    assert any("pinned at its first download" in note for note in splits.read_dataset().notes)


def test_a_second_run_downloads_nothing_and_writes_the_same_bytes(smd, project):
    run("smd", **options(smd))
    first, asked = files.digests(Path("data")), len(smd.requests)
    run("smd", **options(smd))
    assert (files.digests(Path("data")), len(smd.requests)) == (first, asked)


def test_a_pinned_file_downloaded_anew_is_accepted_without_a_word(smd, project, caplog):
    run("smd", **options(smd))
    (settings().state / "downloads" / "smd" / TRAIN).unlink()
    caplog.clear()
    run("smd", **options(smd))
    assert not caplog.records


def test_a_wrong_checksum_is_refused_and_leaves_nothing(smd, refused):
    CHECKSUMS.write_text(json.dumps({"smd": {TRAIN: "0" * 64}}))
    message = refused("smd", TRAIN, "expects " + "0" * 64, "delete", "data/checksums.json", **options(smd))
    assert checksums.pinned("smd", TRAIN) == "0" * 64
    assert "has SHA-256" in message
    assert leftovers() == []


def test_a_download_that_was_changed_on_disk_is_refused(smd, refused):
    run("smd", **options(smd))
    before = files.digests(Path("data"))
    cached = settings().state / "downloads" / "smd" / TEST
    cached.write_bytes(cached.read_bytes().replace(b"0.5", b"0.6"))
    with pytest.raises(files.IntegrityError, match=f"smd: {TEST} has SHA-256"):
        run("smd", **options(smd))
    assert files.digests(Path("data")) == before


def test_a_damaged_checksum_file_is_refused(smd, refused):
    CHECKSUMS.write_text("[]")
    refused("smd", "data/checksums.json must map datasets to paths", "restore it from git", **options(smd))


def test_a_truncated_download_is_tried_again(smd, project):
    smd.faults[TEST] = ["truncate"]
    run("smd", **options(smd))
    assert smd.requests.count(TEST) == 2


def test_a_download_that_stays_truncated_is_refused_and_leaves_nothing(smd, refused):
    smd.faults[TRAIN] = ["truncate"] * 4
    refused("smd", TRAIN, "could not be downloaded in 4 attempts", "try later", **options(smd))
    assert leftovers() == []
    assert not CHECKSUMS.exists()


def test_a_server_that_is_busy_for_a_moment_is_asked_again(smd, project):
    smd.faults[TRAIN] = [503, 429]
    run("smd", **options(smd))
    assert smd.requests.count(TRAIN) == 3


def test_a_server_that_stays_busy_is_given_up(smd, refused):
    smd.faults[TRAIN] = [503] * 10
    refused("smd", TRAIN, "4 attempts: status 503", **options(smd))
    assert smd.requests.count(TRAIN) == 4


def test_an_absent_file_is_refused_at_once(smd, refused):
    del smd.files[LABEL]
    refused("smd", LABEL, "answered 404", "check `home`", "WATTLINE_DATA_MIRROR", **options(smd))
    assert smd.requests.count(LABEL) == 1


def test_a_server_that_is_not_there_is_named(web, refused):
    refused("smd", "http://127.0.0.1:1/train", "4 attempts", machines=[MACHINE], home="http://127.0.0.1:1")


def test_a_home_that_cannot_be_asked_is_refused(refused):
    refused("smd", "cannot be downloaded", "correct `home`", machines=[MACHINE], home="http://127.0.0.1:port")


def test_a_home_that_is_no_web_address_is_refused(refused):
    refused("smd", "ingest.options.smd.home", "file:///etc", home="file:///etc")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"0.1,0.2\n" * 12, "Expected 38 columns, got 2"),
        (b",".join([b"0.1"] * 39) + b"\n", "Expected 38 columns, got 39"),
        (b"<html>not found</html>\n", "is not 38 comma-separated numbers a row"),
        (b",".join([b"zero"] * 38) + b"\n", "invalid value 'zero'"),
        (b"", "is not 38 comma-separated numbers a row: Empty CSV file"),
        (b"\x00\xff\xfe" * 99, "is not 38 comma-separated numbers a row"),
    ],
)
def test_a_file_that_is_something_else_is_refused_and_never_pinned(smd, refused, content, words):
    smd.files[TRAIN] = content
    refused("smd", TRAIN, words, "get it again from its publisher", **options(smd))
    assert leftovers() == []
    assert not CHECKSUMS.exists()


def test_labels_that_do_not_fit_the_rows_are_refused(smd, refused):
    smd.files[LABEL] = b"0\n" * 7
    refused("smd", "machine-1-1 has 8 test rows but 7 labels", **options(smd))


def test_a_machine_that_does_not_exist_is_refused(refused):
    refused("smd", "smd has no unit 'machine-9-9'", "machine-1-1", machines=["machine-9-9"])


def test_jumpstarter_is_read_with_windows_line_ends(web, project):
    random = np.random.default_rng(0).random((6, 19))
    web.files |= {
        "train/service0.csv": text(random, "\r\n"),
        "test/service0.csv": text(random, "\r\n"),
        "test_label/service0.csv": b"0\r\n" * 5 + b"1\r\n",
    }
    run("jumpstarter", services=["service0"], home=web.address)
    dataset = splits.read_dataset()
    assert (dataset.cadence_seconds, len(dataset.columns), dataset.rows) == (300, 19, 12)
    assert splits.read_raw(dataset, "service0").target[-2:].tolist() == [0, 1]


def as_mirror(folder: Path, rows: dict[str, np.ndarray]) -> Path:
    tables = {part: {f"m{i:02d}": rows[part][:, i].round(6).astype(np.float32) for i in range(38)} for part in
              ("train", "test")} | {"test_label": {"label": rows["label"].astype(np.int8)}}  # fmt: skip
    for part, columns in tables.items():
        (folder / "smd" / part).mkdir(parents=True)
        parquet.write_table(pyarrow.table(columns), folder / "smd" / part / f"{MACHINE}.parquet")
    return folder


def test_a_mirror_gives_the_same_rows_as_the_download(smd, rows, project, use_mirror):
    run("smd", **options(smd))
    downloaded = splits.read_dataset()
    use_mirror(as_mirror(project / "mirror", rows))
    run("smd", **options(smd))
    mirrored = splits.read_dataset()
    assert mirrored.id == downloaded.id
    assert [file.origin for file in mirrored.files] == ["mirror"] * 3
    assert any("1 of the publisher's 28 units" in note for note in mirrored.notes)


def test_a_mirror_that_lacks_something_says_what(rows, project, refused, use_mirror):
    mirror = as_mirror(project / "mirror", rows)
    use_mirror(mirror)
    refused("smd", "the data mirror lacks 'machine-1-2'", "unset the mirror", machines=["machine-1-2"])
    (mirror / "smd" / "test" / f"{MACHINE}.parquet").write_bytes(b"PAR1")
    refused("smd", f"test/{MACHINE} is not Parquet", "copy it again")
    (mirror / "smd" / "test" / f"{MACHINE}.parquet").unlink()
    refused("smd", f"the data mirror lacks smd/test/{MACHINE}.parquet")


def test_an_empty_mirror_folder_gives_no_samples(project, refused, use_mirror):
    (project / "mirror" / "smd" / "train").mkdir(parents=True)
    use_mirror(project / "mirror")
    refused("smd", "source smd gave no samples")


def test_a_mirror_that_is_not_a_folder_is_refused(project, refused, use_mirror):
    use_mirror(project / "absent")
    refused("smd", "WATTLINE_DATA_MIRROR is", "absent", "correct or unset it")


def test_the_real_smd_is_whole(real_data):
    source = open_source("smd", {"machines": ["machine-1-2"]}, seed=0)
    (unit,) = source.units
    assert unit.series.values.shape == (23_694 + 23_694, 38)
    assert np.nansum(unit.series.target) == 542
    assert int((unit.series.target == 1).argmax()) == 23_694 + 4_629


def test_the_real_jumpstarter_is_whole(real_data):
    source = open_source("jumpstarter", {"services": ["service0"]}, seed=0)
    (unit,) = source.units
    assert unit.series.values.shape == (5_760 + 7_200, 19)
    assert np.nansum(unit.series.target) == 343


def test_every_real_unit_passes_the_checks(real_data, project):
    run("jumpstarter")
    assert splits.read_dataset().rows == 20 * 12_960


def test_a_service_that_does_not_exist_is_refused(project):
    with pytest.raises(InputError, match="jumpstarter has no unit 'service99'"):
        open_source("jumpstarter", {"services": ["service99"]}, seed=0)
