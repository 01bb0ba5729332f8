"""splits: rows are handed out only when their bytes are those that were recorded."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from builders import COLUMNS, series

from wattline import files, splits
from wattline.errors import InputError, IntegrityError
from wattline.records import Axis, Dataset, Manifest, Part, UnitRows
from wattline.task import Constants, Series

NAMES = [column.name for column in COLUMNS]
DAY = datetime(2026, 1, 1, tzinfo=UTC)
UNITS = ("n0", "n1")
ROWS = {"train": 30, "validation": 10, "test": 20}
CONSTANTS = Constants(
    units=UNITS,
    center=np.arange(6, dtype=np.float32).reshape(2, 3),
    scale=np.ones((2, 3), np.float32),
    pooled_center=np.zeros(3, np.float32),
    pooled_scale=np.full(3, 2, np.float32),
)


def whole(unit: str) -> Series:
    """All rows of a unit; its parts are cut from them in order."""
    return series(sum(ROWS.values()), unit=unit, seed=UNITS.index(unit))


def part(unit: str, split: str) -> Series:
    start = sum(list(ROWS.values())[: list(ROWS).index(split)])
    rows = slice(start, start + ROWS[split])
    one = whole(unit)
    return Series(unit, "rack-1", one.timestamps[rows], one.values[rows], one.target[rows])


@pytest.fixture(autouse=True)
def prepared(tmp_path, monkeypatch):
    """Raw and prepared rows of two units, as `ingest` and `prepare` write them."""
    monkeypatch.chdir(tmp_path)
    raw = {unit: files.write_series(files.RAW, whole(unit), NAMES) for unit in UNITS}
    dataset = Dataset(
        name="d",
        source="s",
        home="h",
        licence="l",
        citation="c",
        cadence_seconds=60,
        columns=COLUMNS,
        units=tuple(
            UnitRows(name=unit, group="rack-1", rows=60, start=DAY, end=DAY, sha256=digest)
            for unit, digest in raw.items()
        ),
        labelled=True,
    )
    files.write_text(files.RAW / splits.DATASET, dataset.to_json())
    digests = {
        f"{split}/{unit}.parquet": files.write_series(files.PREPARED / split, part(unit, split), NAMES)
        for unit in UNITS
        for split in ROWS
    }
    digests[splits.CONSTANTS] = splits.write_constants(files.PREPARED / splits.CONSTANTS, CONSTANTS)
    manifest = Manifest(
        data=dataset.id,
        dataset="d",
        cadence_seconds=60,
        axis=Axis(origin=datetime(2026, 1, 1, tzinfo=UTC)),
        columns=COLUMNS,
        parts=tuple(
            Part.model_validate(
                {"unit": unit, "group": "rack-1", "split": split, "rows": rows, "start": DAY, "end": DAY}
            )
            for unit in UNITS
            for split, rows in ROWS.items()
        ),
        files=digests,
    )
    files.write_text(files.PREPARED / splits.MANIFEST, manifest.to_json())
    return dataset


def same(found: Series, expected: Series) -> None:
    assert (found.unit, found.group, found.history) == (expected.unit, expected.group, expected.history)
    for name in ("timestamps", "values", "target"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_raw_rows_come_back_as_they_were_written(prepared):
    same(splits.read_raw(splits.read_dataset(), "n1"), whole("n1"))


@pytest.mark.parametrize("split", ROWS)
def test_a_split_holds_its_own_rows_of_every_unit(split):
    found = splits.read_split(split)
    assert tuple(found) == UNITS
    for unit in UNITS:
        same(found[unit], part(unit, split))


class TestTampering:
    """Whatever is changed on disk is found before any of it is used, and named."""

    def flip(self, path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def test_a_raw_partition(self, prepared):
        self.flip(files.RAW / "n1.parquet")
        same(splits.read_raw(prepared, "n0"), whole("n0"))
        with pytest.raises(IntegrityError, match=r"^data/raw/n1\.parquet has SHA-256 .*`dvc repro --force ingest`"):
            splits.read_raw(prepared, "n1")

    @pytest.mark.parametrize("split", ROWS)
    def test_a_prepared_partition(self, split):
        self.flip(files.PREPARED / split / "n0.parquet")
        with pytest.raises(
            IntegrityError, match=rf"^data/prepared/{split}/n0\.parquet has .*`dvc repro --force prepare`"
        ):
            splits.read_split(split)

    @pytest.mark.parametrize("split", ["train", "validation"])
    def test_training_sees_none_of_it(self, split):
        self.flip(files.PREPARED / split / "n1.parquet")
        with pytest.raises(IntegrityError, match=rf"{split}/n1\.parquet"):
            splits.read_training_data()

    def test_the_constants(self):
        self.flip(files.PREPARED / splits.CONSTANTS)
        with pytest.raises(IntegrityError, match=r"data/prepared/constants\.safetensors"):
            splits.read_training_data()

    def test_a_partition_that_is_another_units(self):
        source = files.PREPARED / "test" / "n0.parquet"
        (files.PREPARED / "test" / "n1.parquet").write_bytes(source.read_bytes())
        with pytest.raises(IntegrityError, match=r"test/n1\.parquet"):
            splits.read_test()

    def test_an_absent_partition(self):
        (files.PREPARED / "test" / "n1.parquet").unlink()
        with pytest.raises(IntegrityError, match=r"test/n1\.parquet is missing"):
            splits.read_test()

    def test_a_manifest_that_is_no_manifest(self):
        tree = json.loads((files.PREPARED / splits.MANIFEST).read_text())
        del tree["parts"][0]["unit"]
        (files.PREPARED / splits.MANIFEST).write_text(json.dumps(tree))
        with pytest.raises(InputError, match=r"manifest\.json is not a Manifest record: parts\.0\.unit"):
            splits.read_test()


def test_training_data_holds_no_test_row():
    data = splits.read_training_data()
    first_test = part("n0", "test").timestamps[0]
    for split in (data.train, data.validation):
        for rows in split.values():
            assert rows.timestamps.max() < first_test
    assert (data.columns, data.cadence_seconds, data.constants.units) == (COLUMNS, 60, UNITS)


def test_constants_come_back_as_they_were_fitted():
    found = splits.read_training_data().constants
    assert found.units == UNITS
    for name in ("center", "scale", "pooled_center", "pooled_scale"):
        np.testing.assert_array_equal(getattr(found, name), getattr(CONSTANTS, name))
        assert getattr(found, name).dtype == np.float32


class TestHistory:
    """The rows before a split are context for its first windows, and are not judged."""

    @pytest.mark.parametrize(("split", "earlier"), [("validation", "train"), ("test", "validation")])
    def test_it_is_the_split_before(self, split, earlier):
        found = (splits.read_test() if split == "test" else splits.read_training_data().validation)["n1"]
        assert found.history == ROWS[earlier]
        assert len(found) == ROWS[split]
        same(found.judged(), part("n1", split))
        np.testing.assert_array_equal(found.values[: found.history], part("n1", earlier).values)

    def test_the_first_window_reaches_back_into_it(self):
        windows = splits.read_test()["n0"].windows(5)
        assert windows.shape == (ROWS["test"], 5, 3)
        start = ROWS["train"] + ROWS["validation"]
        np.testing.assert_array_equal(windows[0], whole("n0").values[start - 4 : start + 1])

    def test_where_it_is_too_short_its_earliest_row_is_repeated(self):
        windows = splits.read_test()["n0"].windows(15)
        validation = part("n0", "validation").values
        np.testing.assert_array_equal(windows[0][:5], np.repeat(validation[:1], 5, axis=0))
        np.testing.assert_array_equal(windows[0][4:14], validation)
        assert windows.shape == (ROWS["test"], 15, 3)

    def test_a_window_of_one_row_is_the_row(self):
        np.testing.assert_array_equal(splits.read_test()["n0"].windows(1)[:, 0], part("n0", "test").values)
