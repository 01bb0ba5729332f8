"""features: what a model is given at an instant, from storage and from a stream, is what prepare made: to the bit."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_rows import COLUMNS, ORIGIN, store, telemetry
from stages.conftest import Scorer

from wattline import features, files, splits
from wattline.errors import InputError
from wattline.features import report
from wattline.params import PrepareParams
from wattline.params.stages import WindowParams
from wattline.records import Axis, Manifest
from wattline.stages import prepare
from wattline.task import Series

START = datetime(2026, 1, 1, tzinfo=UTC)
STATISTICS = ("avg", "std", "min", "max", "count")
PAIRS = 1_000


@pytest.fixture(
    scope="module", params=[WindowParams(seconds=60.0, statistics=STATISTICS), None], ids=["windows", "rows"]
)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Telemetry of five nodes, prepared in windows of a minute or as rows at the cadence, and the folder it lies in."""
    return _prepared(tmp_path_factory.mktemp("fleet"), request.param)


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory):
    """The same in windows alone."""
    return _prepared(tmp_path_factory.mktemp("minutes"), WindowParams(seconds=60.0, statistics=STATISTICS))


def _prepared(folder: Path, chosen: WindowParams | None):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        generator = np.random.default_rng(3)
        units = [telemetry(number, generator) for number in range(5)]
        store(units, cadence_seconds=20)
        knobs = PrepareParams(windows=chosen, validation_fraction=0.25, test_fraction=0.4, minimum_rows=20, gap_steps=3)
        prepare.run(prepare=knobs, task=Scorer())
        parts = [splits.read_split(split) for split in prepare.SPLITS]
    return folder, units, parts, splits.read_manifest(folder / files.PREPARED)


@pytest.fixture
def place(minutes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(minutes[0])
    return minutes


def windows_of(seconds: float, statistics: tuple[str, ...] = STATISTICS, *, columns: int = 2) -> Manifest:
    """A manifest of windows. Of the columns of their rows a stream takes no notice."""
    axis = Axis(
        origin=datetime.fromtimestamp(0, tz=UTC),
        window_seconds=seconds,
        statistics=statistics,
        raw_columns=COLUMNS[:columns],
    )
    return Manifest(data="d", dataset="d", cadence_seconds=seconds, columns=(), axis=axis, parts=(), files={})


def offline(parts) -> dict[tuple[str, np.datetime64], np.ndarray]:
    """What prepare wrote, by unit and instant."""
    return {
        (unit, timestamp): row
        for part in parts
        for unit, series in part.items()
        for timestamp, row in zip(series.timestamps, series.values, strict=True)
    }


def streamed(units: list[Series], manifest: Manifest, generator: np.random.Generator) -> tuple[features.Stream, dict]:
    """The same samples of all units through a stream, shuffled within minutes and cut anywhere."""
    stream = features.Stream(manifest, units=len(units))
    channels, instants, values = [], [], []
    for place, unit in enumerate(units):
        for column in range(2):
            channels.append(np.full(len(unit), place * 2 + column))
            instants.append(unit.timestamps.astype(np.int64))
            values.append(unit.values[:, column])
    channels, instants, values = map(np.concatenate, (channels, instants, values))
    order = np.argsort(instants + generator.integers(0, 45 * 10**9, len(instants)))  # up to 45 s late
    found = {}
    for chunk in np.array_split(order, 200):
        stream.feed(channels[chunk], instants[chunk], values[chunk])
        for end, rows in stream.close(int(instants[chunk].max()) - 90 * 10**9):
            found |= {(unit.unit, np.datetime64(end, "ns")): row for unit, row in zip(units, rows, strict=True)}
    for end, rows in stream.close(int(instants.max()) + 10**12):
        found |= {(unit.unit, np.datetime64(end, "ns")): row for unit, row in zip(units, rows, strict=True)}
    return stream, found


def test_of_a_thousand_pairs_none_differs_between_storage_an_instant_and_a_stream(fleet):
    _, units, parts, manifest = fleet
    generator = np.random.default_rng(5)
    batch = offline(parts)
    stream, online = streamed(units, manifest, generator)
    assert (stream.late, stream.waiting) == (0, 0)
    keys = list(batch)
    raw = {unit.unit: unit for unit in units}
    recorded = 0
    delay = features.Instants.of(manifest).delay
    for number in generator.integers(0, len(keys), PAIRS):
        unit, timestamp = keys[number]
        found = features.as_of(raw[unit], manifest, instant=timestamp + np.timedelta64(delay, "ns"), steps=1)
        assert found.timestamps[-1] == timestamp
        wanted = batch[unit, timestamp]
        np.testing.assert_array_equal(found.values[-1], wanted)
        np.testing.assert_array_equal(online.get((unit, timestamp), np.full(len(wanted), np.nan)), wanted)
        recorded += found.recorded
    assert recorded > 0.6 * PAIRS


def test_what_is_observed_at_the_instant_or_later_has_no_part_in_it(place):
    _, units, _, manifest = place
    raw = units[1]
    for row in (50, 200, 333):
        instant = raw.timestamps[row]
        values = raw.values.copy()
        values[row:] = 1e9
        other = Series(raw.unit, raw.group, raw.timestamps, values, raw.target)
        cut = Series(raw.unit, raw.group, raw.timestamps[:row], raw.values[:row], raw.target[:row])
        wanted = features.as_of(raw, manifest, instant=instant, steps=8).values
        for one in (other, cut):
            np.testing.assert_array_equal(features.as_of(one, manifest, instant=instant, steps=8).values, wanted)


def test_a_model_gets_as_many_steps_as_it_wants_up_to_now_whatever_is_missing(place):
    _, units, _, manifest = place
    end = units[4].timestamps[-1] + np.timedelta64(10, "m")
    found = features.as_of(units[4], manifest, instant=end, steps=32)
    assert found.values.shape == (32, 10)
    assert (np.diff(found.timestamps) == np.timedelta64(60, "s")).all()
    assert found.timestamps[-1] <= end < found.timestamps[-1] + np.timedelta64(60, "s")
    assert np.isnan(found.values[-9:]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_samples_give_the_same_bits_however_they_are_cut_and_in_which_order_they_come(seed: int, cuts: int):
    generator = np.random.default_rng(seed)
    count = 120
    channels = generator.integers(0, 6, count)
    instants = generator.permutation(10**6)[:count].astype(np.int64) * 10**6
    values = (1e5 + generator.standard_normal(count)).astype(np.float32)

    def rows(order, pieces: int) -> list[tuple[int, bytes]]:
        stream = features.Stream(windows_of(100.0), units=3)
        for piece in np.array_split(order, pieces):
            stream.feed(channels[piece], instants[piece], values[piece])
        return [(end, found.tobytes()) for end, found in stream.close(10**12)]

    assert rows(np.arange(count), 1) == rows(generator.permutation(count), cuts)


def test_of_two_samples_at_one_instant_the_later_arrival_counts():
    stream = features.Stream(windows_of(1.0, ("avg", "count"), columns=1), units=1)
    stream.feed(np.array([0, 0]), np.array([5, 5]), np.array([1.0, 2.0]))
    stream.feed(np.array([0]), np.array([5]), np.array([3.0]))
    ((_, rows),) = stream.close(10**9)
    assert rows.tolist() == [[3.0, 1.0]]


def test_samples_that_come_after_their_window_was_closed_are_counted_and_change_nothing():
    stream = features.Stream(windows_of(1.0, ("count",), columns=1), units=1)
    stream.feed(np.array([0, 0]), np.array([5, 10**9]), np.array([1.0, 2.0]))
    assert [end for end, _ in stream.close(10**9)] == [10**9]
    stream.feed(np.array([0, 0, 0]), np.array([6, 10**9 + 1, 7]), np.array([1.0, 2.0, np.nan]))
    assert stream.late == 1
    assert [(end, rows.tolist()) for end, rows in stream.close(2 * 10**9)] == [(2 * 10**9, [[2.0]])]
    assert list(stream.close(10**9)) == []


def test_rows_at_the_cadence_are_known_when_no_nearer_sample_can_come():
    minutes = ORIGIN + np.arange(10) * np.timedelta64(60, "s")
    raw = Series("n0", "rack", minutes, np.arange(10, dtype=np.float32)[:, None], np.zeros(10))
    manifest = Manifest(
        data="d", dataset="d", cadence_seconds=60, columns=COLUMNS[:1], axis=Axis(origin=START), parts=(), files={}
    )
    for seconds, wanted in ((299, [2, 3, 4]), (269, [2, 3]), (270, [2, 3, 4]), (330, [3, 4, 5])):
        found = features.as_of(raw, manifest, instant=ORIGIN + np.timedelta64(seconds, "s"), steps=len(wanted))
        assert found.values[:, 0].tolist() == wanted, seconds


class TestCommand:
    def test_it_writes_a_table_and_lines(self, place, tmp_path):
        said: list[str] = []
        report.run("2026-01-01T03:00:00+01:00", units=[], steps=4, out=tmp_path / "f.parquet", say=said.append)
        table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
        assert (table.num_rows, table.column_names[:3]) == (20, ["unit", "timestamp", "power_avg"])
        assert str(max(table["timestamp"].to_pylist())) == "2026-01-01 02:00:00+00:00"
        report.run("2026-01-01T02:00:00Z", units=["n3"], steps=1, out=None, say=said.append)
        line = json.loads(said[-1])
        assert (line["unit"], line["timestamp"]) == ("n3", "2026-01-01T02:00:00.000Z")
        wanted = table.filter(pyarrow.compute.equal(table["unit"], "n3"))["power_avg"][-1].as_py()
        assert line["power_avg"] == wanted

    @pytest.mark.parametrize(
        ("instant", "units", "sentence"),
        [
            ("yesterday", [], "--as-of 'yesterday' is no ISO 8601 time"),
            ("2026-01-01T02:00:00", [], "has no offset from UTC; write it like 2026-01-01T02:00:00Z"),
            ("2026-01-01", [], "has no offset from UTC; write it like 2026-01-01T00:00:00Z"),
            ("2026-01-01T02:00:00Z", ["n9"], "--unit 'n9' is not in data/raw; it has n0, n1"),
            ("2025-01-01T02:00:00Z", ["n1"], "unit n1 has no sample before 2025-01-01T02"),
            ("2026-01-01T00:00:30Z", ["n1"], "unit n1 has no complete row"),
        ],
    )
    def test_what_cannot_be_answered_is_told(self, place, instant: str, units: list[str], sentence: str):
        with pytest.raises(InputError) as raised:
            report.run(instant, units=units, steps=1, out=None, say=print)
        assert sentence in str(raised.value)
