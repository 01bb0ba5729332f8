"""Late, overlapping and repeated samples, in any number of pulls, end as the sorted truth without repetitions."""

import os
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.conftest import START, hours, newest, take, write
from wattline import partitions
from wattline.snapshots.merging import is_in_order, merged
from wattline.task import Series

COLUMNS = ("power", "load")
SAMPLES = st.lists(
    st.tuples(st.sampled_from(("n1", "n2")), st.sampled_from(COLUMNS), st.integers(0, 59), st.integers(-3, 3)),
    max_size=12,
)
PULLS = st.lists(st.tuples(SAMPLES, st.integers(0, 50), st.integers(1, 60)), min_size=1, max_size=4)

Model = dict[tuple[str, str, int], float]


def stored() -> Model:
    """What the newest snapshot has, by unit, column and hour."""
    snapshot = newest()
    found = {}
    for unit in snapshot.units:
        series = partitions.read_unit(partitions.FOLDER / snapshot.id, unit, snapshot.column_names)
        assert series is not None
        assert (np.diff(series.timestamps.astype(np.int64)) > 0).all()
        for at, row in zip(series.timestamps.astype(np.int64), series.values, strict=True):
            for name, value in zip(snapshot.column_names, row, strict=True):
                if not np.isnan(value):
                    found[unit.name, name, (at // 10**9 - round(START.timestamp())) // 3600] = float(value)
    return found


def by_unit(samples):
    found = {}
    for unit, column, hour, value in samples:
        found.setdefault(unit, {}).setdefault(column, []).append((hours(hour).timestamp(), value))
    return found


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pulls=PULLS, page_hours=st.sampled_from((1.5, 6.0, 100.0)))
def test_any_pulls_end_as_a_dictionary_would(project, pulls, page_hours):
    model: Model = {}
    with tempfile.TemporaryDirectory(dir=project) as folder:
        os.chdir(folder)
        for samples, begin, length in pulls:
            write(by_unit(samples))
            inside = {
                (unit, column, hour): value for unit, column, hour, value in samples if begin <= hour < begin + length
            }
            model |= inside
            if inside:
                take(begin, begin + length, page_hours=page_hours)
        if model:
            assert stored() == model
            identifier = newest().id
            write(by_unit((*key, value) for key, value in sorted(model.items())))
            assert take(0, 200, page_hours=7.0, fresh=True).name == identifier, "one pull of the truth has another id"
        os.chdir(project)


def series(minutes: list[float], power: list[float], load: list[float], *, target: list[float] | None = None) -> Series:
    at = np.array([round((START + timedelta(minutes=one)).timestamp() * 1e9) for one in minutes]).astype(
        "datetime64[ns]"
    )
    values = np.stack([power, load], axis=1).astype(np.float32)
    return Series("n1", "rack-1", at, values, np.array(target if target else [np.nan] * len(minutes)))


NAN = np.nan


class TestRows:
    def test_of_two_values_the_later_pull_counts_and_an_absent_one_replaces_nothing(self):
        first = series([0, 10], [1, 2], [5, 6], target=[0, 1])
        second = series([10, 20], [3, 4], [NAN, 8], target=[NAN, 1])
        rows = merged([first, second])
        np.testing.assert_array_equal(rows.values, np.array([[1, 5], [3, 6], [4, 8]], dtype=np.float32))
        np.testing.assert_array_equal(rows.target, [0, 1, 1])

    def test_of_two_rows_in_one_answer_the_last_one_counts(self):
        rows = merged([series([20, 0, 20, 0], [1, 2, 3, NAN], [1, 2, NAN, 4])])
        np.testing.assert_array_equal(rows.values, np.array([[2, 4], [3, 1]], dtype=np.float32))

    def test_a_row_without_any_value_stays_a_row(self):
        assert len(merged([series([0], [NAN], [NAN]), series([10], [NAN], [1])]).timestamps) == 2

    def test_instants_that_differ_by_less_than_is_stored_are_one(self):
        rows = series([0, 1e-9 / 60 * 300, 1], [1, 2, 3], [1, 2, 3])
        shifted = Series(
            "n1", "r", rows.timestamps + np.array([0, 300, 0], dtype="timedelta64[ns]"), rows.values, rows.target
        )
        assert not is_in_order(shifted)
        assert merged([shifted]).values[:, 0].tolist() == [2, 3]

    def test_merging_twice_changes_nothing(self):
        once = merged([series([5, 0, 5], [1, NAN, 3], [NAN, 2, 3])])
        twice = merged([once, once])
        assert partitions.rows_digest(once) == partitions.rows_digest(twice)


class TestDigest:
    def test_it_does_not_depend_on_which_bits_say_nan(self):
        rows = series([0, 1], [NAN, 1], [1, 2])
        other = rows.values.copy()
        other.view(np.uint32)[0, 0] = 0x7FC00001
        assert np.isnan(other[0, 0])
        same = Series(rows.unit, rows.group, rows.timestamps, other, rows.target)
        assert partitions.rows_digest(same) == partitions.rows_digest(rows)

    @pytest.mark.parametrize("place", ["timestamps", "values", "target"])
    def test_it_depends_on_every_part_of_a_row(self, place):
        rows = series([0, 1], [3, 1], [1, 2], target=[0, 0])
        parts = {name: getattr(rows, name).copy() for name in ("timestamps", "values", "target")}
        parts[place].reshape(-1)[0] += np.timedelta64(1, "us") if place == "timestamps" else 1
        assert partitions.rows_digest(Series("n1", "rack-1", **parts)) != partitions.rows_digest(rows)


def test_days_are_cut_at_midnight_utc(project: Path):
    rows = series([-10, 0, 10, 1430, 1440], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert [(day.isoformat(), len(one.timestamps)) for day, one in partitions.by_day(rows)] == [
        ("2026-02-28", 1),
        ("2026-03-01", 3),
        ("2026-03-02", 1),
    ]
