"""Rows in quarantine are whole, counted, told with their reason, and used by nobody; too many are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from project.task import TASK
from wattline import files, quarantine, splits
from wattline.errors import InputError, IntegrityError
from wattline.params import PrepareParams
from wattline.params.stages import WindowParams
from wattline.quality.offenders import in_order
from wattline.records import Quarantine
from wattline.stages import prepare

from .telemetry import VICTIM, Fleet, fleet, report, run, store

PAGE = Path("reports/validate/index.html")
WRONG = (300, 301, 900)
"""Rows of the victim that are impossible."""


@pytest.fixture(scope="module")
def sound() -> Fleet:
    return fleet()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def spoilt(sound: Fleet) -> Fleet:
    values = sound.values("dimm_degc")
    values[list(WRONG)] = 255
    return sound.with_values("dimm_degc", values)


def without(sound: Fleet) -> Fleet:
    """As if those rows had never come."""
    return sound.kept(np.delete(np.arange(len(sound.units[VICTIM])), WRONG))


def prepared(**knobs: object) -> dict[str, str]:
    chosen = PrepareParams(validation_fraction=0.25, test_fraction=0.4, minimum_rows=2, **knobs)
    prepare.run(prepare=chosen, task=TASK)
    return files.digests(files.PREPARED)


def index() -> Quarantine:
    return files.read_record(quarantine.FOLDER / quarantine.INDEX, Quarantine)


def test_without_quarantine_all_rows_are_refused_and_none_is_taken_out(sound):
    store(spoilt(sound))
    with pytest.raises(InputError, match=r"column dimm_degc: .* fails 3 times"):
        run()
    assert index().units == ()
    assert report().quarantined == 0


def test_offending_rows_are_kept_whole_with_their_place_and_reason(sound):
    dataset = store(spoilt(sound))
    found = run(mode="rows")
    victim = dataset.units[VICTIM].name
    table = parquet.read_table(quarantine.FOLDER / f"{victim}.parquet")
    raw = parquet.read_table(files.RAW / f"{victim}.parquet").take(list(WRONG))
    np.testing.assert_equal(table.select(raw.column_names).to_pydict(), raw.to_pydict())  # NaN is equal to NaN
    assert table["row"].to_pylist() == list(WRONG)
    assert set(table["reason"].to_pylist()) == {"expect_column_values_to_be_between dimm_degc"}
    assert (found.quarantined, [one.name for one in index().units]) == (3, [victim])
    assert sorted(path.name for path in quarantine.FOLDER.iterdir()) == [f"{victim}.parquet", quarantine.INDEX]


def test_the_finding_stays_critical_is_counted_and_is_told_on_the_page(sound):
    store(spoilt(sound))
    found = run(mode="rows")
    assert [(one.severity, one.quarantined, one.count) for one in found.findings] == [("critical", True, 3)]
    assert found.failures("critical") == ()
    assert "Rows in quarantine" in PAGE.read_text()
    assert "3 of 7,1" in PAGE.read_text()
    met = found.expectations - 1
    assert f"{met} met, 1 by the rows that are left, 0 critical, 0 warnings. 3 rows" in PAGE.read_text()
    assert "<h1>Rows that are left meet every expectation: " in PAGE.read_text()
    with pytest.raises(InputError):
        run(mode="rows", maximum_share=0.0001)
    assert f"{met} met, 1 by the rows that are left, 1 critical, 0 warnings. 3 rows" in PAGE.read_text()


@pytest.mark.parametrize("windows", [None, WindowParams(seconds=300, statistics=("avg", "std", "count"))])
def test_prepare_makes_what_it_would_have_made_without_those_rows(sound, monkeypatch, windows):
    monkeypatch.setattr(files, "PIECE_BYTES", 20_000)  # many pieces, with rows taken out of several
    store(without(sound))
    run(mode="rows")
    expected = prepared(windows=windows)
    store(spoilt(sound))
    run(mode="rows")
    found = prepared(windows=windows)
    assert found.pop(splits.MANIFEST) != expected.pop(splits.MANIFEST)  # it is another dataset
    assert found == expected
    assert files.read_report("prepare", prepare.Preparation).quarantined == 3


def test_a_row_of_another_age_does_not_move_the_cuts(sound):
    timestamps = sound.units[VICTIM].timestamps.copy()
    timestamps[-1] = np.datetime64("2099-01-01")
    store(sound.at(timestamps))
    assert run(mode="rows").quarantined == 1
    prepared()
    ends = {part.end.year for part in splits.read_manifest().parts}
    assert ends == {2026}


def test_rows_that_are_left_are_in_order_whichever_row_was_blamed(sound):
    """A row that is an hour ahead makes the one after it look late."""
    timestamps = sound.units[VICTIM].timestamps.copy()
    timestamps[700] += np.timedelta64(3600, "s")
    dataset = store(sound.at(timestamps))
    found = run(mode="rows")
    assert found.quarantined == 2
    unit = dataset.units[VICTIM]
    left = quarantine.without_quarantined(
        splits.read_unit(unit, dataset.columns), quarantine.places(unit.name, quarantine.read(dataset))
    )
    assert (np.diff(left.timestamps) > np.timedelta64(0)).all()


@pytest.mark.parametrize(
    ("instants", "kept"),
    [
        ([], []),
        ([1, 2, 3], [True, True, True]),
        ([1, 2, 2, 3], [True, False, True, True]),
        ([1, 50, 2, 3, 4], [True, False, True, True, True]),
        ([5, 6, 1, 7], [True, True, False, True]),
        ([3, 2, 1], [False, False, True]),
    ],
)
def test_as_many_rows_as_can_be_in_order_are_left(instants, kept):
    assert in_order(np.array(instants, dtype=np.int64)).tolist() == kept


def test_more_than_the_share_is_refused_and_what_was_taken_out_can_be_looked_at(sound):
    store(spoilt(sound))
    with pytest.raises(InputError, match=r"wattline_quarantine fails 3 times .*maximum_share is 0\.010%"):
        run(mode="rows", maximum_share=0.0001)
    assert index().rows == 3
    assert [one.rule for one in report().failures("critical")] == ["wattline_quarantine"]


def test_a_unit_that_would_lose_all_its_rows_is_refused(sound):
    store(sound.with_unit(replace(sound.units[0], unit=sound.units[VICTIM].unit)))
    with pytest.raises(InputError, match=r"wattline_quarantine .* has 0 rows left, at least 10"):
        run(mode="rows", maximum_share=1.0)


def test_what_blames_no_row_is_refused_as_before(sound):
    values = tuple(replace(unit, values=unit.values * np.float32(0.001)) for unit in sound.units)
    store(replace(sound, units=values))
    with pytest.raises(InputError, match="expect_column_median_to_be_between"):
        run(mode="rows", maximum_share=1.0)


def test_an_earlier_quarantine_is_emptied(sound):
    store(spoilt(sound))
    run(mode="rows")
    store(sound)
    run(mode="rows")
    assert [path.name for path in quarantine.FOLDER.iterdir()] == [quarantine.INDEX]


def test_prepare_refuses_a_quarantine_that_is_gone_changed_or_of_other_rows(sound):
    store(spoilt(sound))
    run(mode="rows")
    path = quarantine.FOLDER / f"{sound.units[VICTIM].unit}.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(IntegrityError, match="was changed after `validate` wrote it"):
        prepared()
    path.write_bytes(content)
    store(sound)
    with pytest.raises(IntegrityError, match="is about other rows"):
        prepared()
    (quarantine.FOLDER / quarantine.INDEX).unlink()
    with pytest.raises(InputError, match=r"quarantine\.json is missing"):
        prepared()


def test_equal_rows_give_equal_bytes(sound):
    outputs = []
    for _ in range(2):
        store(spoilt(sound))
        run(mode="rows")
        outputs.append(files.digests(quarantine.FOLDER) | files.digests(files.REPORTS))
    assert outputs[0] == outputs[1]
