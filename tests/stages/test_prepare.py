"""prepare: rows are cut by time, constants know the train part alone, and a failure leaves what was there."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import raw_rows
from raw_rows import ORIGIN

from stages.conftest import Scorer, small_splits
from wattline import files, splits
from wattline.errors import InputError, IntegrityError
from wattline.moments import Moments
from wattline.params import PrepareParams
from wattline.params.stages import WindowParams
from wattline.records import Dataset
from wattline.stages import prepare
from wattline.stages.prepare import Preparation, check_order
from wattline.task import Series

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def node(name: str, rows: int = 400, *, late: int = 0, gap: slice = slice(0)) -> Series:
    """Rows a minute apart that begin `late` minutes after START, without those in `gap`."""
    minutes = np.delete(np.arange(rows), gap) + late
    values = np.stack([minutes * 1.0, minutes % 7], axis=1).astype(np.float32)
    return Series(name, "rack-1", ORIGIN + minutes * np.timedelta64(60, "s"), values, (minutes % 50 == 0) * 1.0)


def store(*units: Series, test_start: int | None = None) -> Dataset:
    """Write raw rows as `ingest` does. test_start: of the official test part [min after START]"""
    instant = None if test_start is None else START + timedelta(minutes=test_start)
    return raw_rows.store(units, cadence_seconds=60, test_start=instant)


def run(knobs: PrepareParams | None = None, task: Any = None) -> None:
    prepare.run(prepare=knobs or small_splits(), task=task or Scorer())


def test_every_row_is_in_one_part_and_parts_follow_each_other():
    store(node("n0"), node("n1", late=30))
    run()
    parts = {split: splits.read_split(split) for split in prepare.SPLITS}
    for name, raw in (("n0", node("n0")), ("n1", node("n1", late=30))):
        found = [parts[split][name] for split in prepare.SPLITS]
        np.testing.assert_array_equal(np.concatenate([one.timestamps for one in found]), raw.timestamps)
        np.testing.assert_array_equal(np.concatenate([one.values for one in found]), raw.values)
        np.testing.assert_array_equal(np.concatenate([one.target for one in found]), raw.target)


def test_a_gap_before_each_part_is_in_none_and_leads_the_next_as_history():
    store(node("n0"))
    run(small_splits().model_copy(update={"gap_steps": 5}))
    train, validation, test = (splits.read_split(split)["n0"] for split in prepare.SPLITS)
    raw = node("n0")
    assert [len(train), len(validation), len(test)] == [175, 55, 160]
    assert [train.history, validation.history, test.history] == [0, 5, 5]
    joined = np.concatenate([one.timestamps for one in (train, validation, test)])
    np.testing.assert_array_equal(joined, raw.timestamps)  # windows find every row that they begin with
    assert validation.timestamps[5] - train.timestamps[-1] == np.timedelta64(6, "m")
    assert np.isnan(validation.target[:5]).all()
    with_context = splits.read_test()["n0"]
    assert (len(with_context), with_context.history) == (160, 65)
    np.testing.assert_array_equal(with_context.windows(3)[0], raw.values[238:241])


def test_all_units_stand_on_the_same_instants_and_a_missing_row_shifts_nobody():
    store(node("n0", gap=slice(50, 60)), node("n1", late=30, gap=slice(0, 1)))
    shifted = node("n2")
    early = shifted.timestamps + np.timedelta64(11, "s")
    store(node("n0"), Series("n2", "rack-1", early, shifted.values, shifted.target))
    run()
    found = [rows.timestamps for rows in splits.read_split("test").values()]
    np.testing.assert_array_equal(found[0], found[1])


def test_perturbed_test_rows_leave_constants_and_train_rows_as_they_are():
    def written() -> dict[str, str]:
        run(small_splits().model_copy(update={"windows": WindowParams(seconds=120.0), "gap_steps": 1}))
        return {name: digest for name, digest in splits.read_manifest().files.items() if not name.startswith("test/")}

    raw = node("n0", rows=1200)
    store(raw)
    before = written()
    values = raw.values.copy()
    values[720:] = 1e7
    store(Series(raw.unit, raw.group, raw.timestamps, values, raw.target))
    assert written() == before


def test_no_unit_is_trained_on_rows_that_are_younger_than_anothers_test():
    store(node("n0"), node("n1", late=60))
    run()
    newest_train = max(rows.timestamps[-1] for rows in splits.read_split("train").values())
    oldest_test = min(rows.timestamps[0] for rows in splits.read_split("test").values())
    assert newest_train < oldest_test


def test_an_official_test_part_is_the_test_part():
    store(node("n0"), test_start=300)
    run()
    assert splits.read_split("test")["n0"].timestamps[0] == ORIGIN + np.timedelta64(300, "m")
    assert len(splits.read_split("test")["n0"]) == 100


def test_gaps_are_rows_of_nan():
    store(node("n0", gap=slice(100, 120)))
    run()
    train = splits.read_split("train")["n0"]
    assert np.isnan(train.values[100:120]).all()
    assert not np.isnan(np.delete(train.values, slice(100, 120), axis=0)).any()
    report = files.read_report("prepare", Preparation)
    assert report.missing_share == pytest.approx(20 / 400)
    assert report.rows == {"train": 180, "validation": 60, "test": 160}


def test_constants_do_not_depend_on_later_rows():
    store(node("n0"), test_start=300)
    run()
    before = splits.read_constants()
    raw = node("n0")
    raw.values[225:] = 1e6
    store(raw, test_start=300)
    run()
    after = splits.read_constants()
    for name in ("center", "scale", "pooled_center", "pooled_scale"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_the_manifest_knows_every_file_and_its_data():
    dataset = store(node("n0"), node("n1"))
    run()
    manifest = splits.read_manifest()
    assert manifest.data == dataset.id
    on_disk = {name: digest for name, digest in files.digests(files.PREPARED).items() if name != splits.MANIFEST}
    assert dict(manifest.files) == on_disk
    assert [(part.unit, part.split) for part in manifest.parts] == [
        (unit, split) for unit in ("n0", "n1") for split in prepare.SPLITS
    ]


def test_the_same_rows_give_the_same_bytes():
    store(node("n0", gap=slice(5, 9)), node("n1"))
    run()
    before = files.directory_digest(files.PREPARED)
    run()
    assert files.directory_digest(files.PREPARED) == before


class TestFailure:
    """Whatever fails, the former folder and report stay, and nothing else is left."""

    @pytest.fixture(autouse=True)
    def former(self):
        store(node("n0"), node("n1"))
        run()
        before = files.digests(files.PREPARED), files.report_path("prepare").read_bytes()
        yield
        assert (files.digests(files.PREPARED), files.report_path("prepare").read_bytes()) == before
        assert sorted(path.name for path in files.PREPARED.parent.iterdir()) == ["prepared", "raw"]

    @pytest.mark.parametrize("minimum", [61, 1000])
    def test_too_few_rows_name_unit_split_and_minimum(self, minimum):
        knobs = PrepareParams(validation_fraction=0.25, test_fraction=0.4, minimum_rows=minimum)
        with pytest.raises(InputError, match=rf"unit n0 has .* recorded rows in .*prepare\.minimum_rows is {minimum}"):
            run(knobs)

    def test_rows_that_were_never_recorded_do_not_count(self):
        store(node("n0", gap=slice(181, 239)))
        with pytest.raises(InputError, match="unit n0 has 2 recorded rows in validation"):
            run()

    def test_a_unit_that_begins_after_train_is_named(self):
        store(node("n0"), node("n1", rows=150, late=250))
        with pytest.raises(InputError, match="unit n1 has 0 recorded rows in train"):
            run()

    def test_a_changed_raw_partition_is_refused(self):
        path = files.RAW / "n1.parquet"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(IntegrityError, match=r"data/raw/n1\.parquet"):
            run()

    def test_a_wrong_cadence_is_refused(self):
        dataset = json.loads((files.RAW / splits.DATASET).read_text())
        (files.RAW / splits.DATASET).write_text(json.dumps(dataset | {"cadence_seconds": 1}))
        with pytest.raises(InputError, match="cadence_seconds"):
            run()

    @pytest.mark.parametrize("shape", [(5,), (), (180, 1)])
    def test_a_target_of_another_length_is_refused(self, shape):
        task = SimpleNamespace(target=lambda rows: np.zeros(shape))
        with pytest.raises(InputError, match=r"task\.target gave shape .* for 180 rows of unit n0"):
            run(task=task)

    def test_a_task_that_breaks_comes_out(self):
        def target(rows):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run(task=SimpleNamespace(target=target))


def test_the_task_sees_one_split_at_a_time():
    store(node("n0"))
    seen: list[int] = []
    run(task=SimpleNamespace(target=lambda rows: seen.append(len(rows)) or rows.target))
    assert seen == [180, 60, 160]


def test_the_targets_are_those_of_the_task():
    store(node("n0"))
    run(task=SimpleNamespace(target=lambda rows: np.roll(rows.values[:, 0], -1)))
    assert splits.read_split("test")["n0"].target[:2].tolist() == [241, 242]


class TestOrder:
    """The last line of defence: whatever cut the rows, an overlap is told."""

    @pytest.fixture
    def parts(self):
        store(node("n0"))
        run()
        moments = Moments()
        moments.add(splits.read_split("train")["n0"])
        return list(splits.read_manifest().parts), moments

    def test_the_stages_own_parts_are_in_order(self, parts):
        check_order(*parts)

    @pytest.mark.parametrize("late", ["train", "validation"])
    def test_an_overlap_is_told(self, parts, late):
        found, moments = parts
        later = [
            part.model_copy(update={"end": part.end + timedelta(minutes=2)}) if part.split == late else part
            for part in found
        ]
        with pytest.raises(InputError, match="unit n0: splits overlap in time"):
            check_order(later, moments)

    def test_a_constant_that_saw_later_rows_is_told(self, parts):
        found, moments = parts
        moments.add(splits.read_split("validation")["n0"])
        with pytest.raises(InputError, match="unit n0: constants were fitted on rows after the end of train"):
            check_order(found, moments)
