"""The archive of M100 ExaData: what is read of it equals a brute-force read, and no more is read than is asked for."""

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.conftest import run
from wattline import splits
from wattline.errors import InputError
from wattline.sources import NoSamplesError, Readers, exadata, open_source

METRICS = {
    "total_power": {"column": "power", "unit": "W"},
    "cpu_user": {"unit": "%", "plugin": "ganglia_pub"},
    "state": {"unit": "1", "plugin": "nagios_pub", "where": {"description": "alive::ping"}},
}
SPAN = {"start": "2022-03-20T00:00:00Z", "end": "2022-04-10T12:00:00Z"}


def write(root: Path, month: str, plugin: str, metric: str, name: str, **columns: object) -> Path:
    folder = root / f"year_month={month}" / f"plugin={plugin}" / f"metric={metric}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name, row_group_size=200)
    return folder / name


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months and one that nobody asks for: several files, unsorted, overlapping, duplicated, of several types."""
    root = tmp_path_factory.mktemp("archive")
    generator = np.random.default_rng(5)
    for month, first in (("22-03", "2022-03-01"), ("22-04", "2022-04-01")):
        for plugin, metric in (("ipmi_pub", "total_power"), ("ganglia_pub", "cpu_user"), ("nagios_pub", "state")):
            for part in range(3):
                rows = 1500
                # Few enough instants for many to come twice, in one file and in several.
                ticks = generator.integers(0, 30 * 24 * 3, rows) * 1200 * 1000
                stamps = pa.array(np.datetime64(first, "ms") + ticks.astype("timedelta64[ms]"))
                nodes = generator.integers(0, 45, rows)
                values = generator.normal(500, 50, rows)
                value = pa.array(values.astype(np.int32))
                if metric == "cpu_user":
                    value = pa.array(values.astype(np.float32), mask=generator.random(rows) < 0.05)
                if part == 2 and month == "22-04":
                    value = pa.array([str(v) if v > 460 else "n/a" for v in values.round(3)])
                node = [pa.array(nodes), pa.array(nodes.astype(str)), pa.array(nodes.astype(str)).dictionary_encode()][
                    part
                ]
                columns = {"timestamp": stamps.cast(pa.timestamp("us", "UTC")) if part == 1 else stamps, "value": value}
                if plugin == "nagios_pub":
                    columns["description"] = pa.array(generator.choice(["alive::ping", "ssh::daemon"], rows))
                path = write(root, month, plugin, metric, f"a_{part}.parquet", node=node, **columns)
                if part == 0:
                    (path.parent / "b_0.parquet").write_bytes(path.read_bytes())
    broken = root / "year_month=21-07" / "plugin=ipmi_pub" / "metric=total_power"
    broken.mkdir(parents=True)
    (broken / "a_0.parquet").write_bytes(b"never to be opened")
    return root


def brute_force(archive: Path) -> dict[str, pd.DataFrame]:
    """Every file whole, with pandas; of two values of one instant that of the later row counts."""
    found: dict[str, dict[str, pd.Series]] = {}
    for metric, options in METRICS.items():
        frames = []
        for path in sorted(
            archive.glob(f"year_month=22-*/plugin={options.get('plugin', 'ipmi_pub')}/metric={metric}/*")
        ):
            frame = pq.ParquetFile(path).read().to_pandas()
            if "description" in frame:
                frame = frame[frame["description"] == "alive::ping"]
            frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True).astype("datetime64[ns, UTC]")
            frame["node"] = frame["node"].astype(str)
            frame["value"] = pd.to_numeric(frame["value"], errors="coerce").astype(np.float64)
            frames.append(frame[["node", "timestamp", "value"]])
        whole = pd.concat(frames).dropna(subset="value")
        whole = whole[(whole["timestamp"] >= SPAN["start"]) & (whole["timestamp"] < SPAN["end"])]
        for node, rows in whole.groupby("node"):
            last = rows.drop_duplicates("timestamp", keep="last").set_index("timestamp")["value"].sort_index()
            found.setdefault(str(node), {})[str(options.get("column", metric))] = last
    names = [str(options.get("column", metric)) for metric, options in METRICS.items()]
    return {node: pd.DataFrame(columns).reindex(columns=names) for node, columns in found.items()}


@pytest.mark.parametrize("most", [1, 2_000, 10**9])
def test_it_equals_a_brute_force_read_whatever_is_read_at_once(archive: Path, most: int) -> None:
    nodes = [str(node) for node in range(0, 45, 5)]
    options = {"path": str(archive), "metrics": METRICS, "maximum_samples_per_read": most, "nodes": nodes, **SPAN}
    source = open_source("m100_archive", options, seed=0)
    expected = brute_force(archive)
    units = list(source.units)
    assert [unit.series.unit for unit in units] == [f"node-{int(node):04d}" for node in nodes]
    for unit, node in zip(units, nodes, strict=True):
        frame = expected[node]
        assert unit.series.group == f"rack-{int(node) // 20:02d}"
        assert unit.columns == ("power", "cpu_user", "state")
        np.testing.assert_array_equal(unit.series.timestamps, frame.index.tz_localize(None).to_numpy())
        np.testing.assert_array_equal(unit.series.values, frame.to_numpy().astype(np.float32))


def test_words_among_the_values_are_counted(archive: Path) -> None:
    source = open_source("m100_archive", {"path": str(archive), "metrics": METRICS, **SPAN}, seed=0)
    counted = sum(unit.quarantined.get("the value is no number", 0) for unit in source.units)
    words = 0
    for path in archive.glob("year_month=22-04/*/*/a_2.parquet"):
        frame = pq.ParquetFile(path).read().to_pandas()
        frame = frame[(frame["value"] == "n/a") & (frame["timestamp"] < SPAN["end"].removesuffix("Z"))]
        words += len(frame[frame["description"] == "alive::ping"] if "description" in frame else frame)
    assert counted == words > 0


def test_other_row_groups_and_columns_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of row groups and columns that are not asked for are destroyed: reading one would fail."""
    rows = 3000
    stamps = pa.array(np.datetime64("2022-03-01", "ms") + np.arange(rows).astype("timedelta64[m]"))
    path = write(
        tmp_path, "22-03", "ipmi_pub", "total_power", "a_0.parquet",
        timestamp=stamps, value=np.arange(rows, dtype=np.int32), node=np.arange(rows) // 1000,
        more=np.arange(rows) * 1.5,
    )  # fmt: skip
    footer = pq.ParquetFile(path).metadata
    content = bytearray(path.read_bytes())
    wanted = range(1000, 1400)
    for group in range(footer.num_row_groups):
        for place in range(footer.num_columns):
            column = footer.row_group(group).column(place)
            touched = column.path_in_schema != "more" and set(range(group * 200, group * 200 + 200)) & set(wanted)
            if not touched:
                begin = column.dictionary_page_offset or column.data_page_offset
                content[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    start = datetime(2022, 3, 1, tzinfo=UTC) + timedelta(minutes=1000)
    options = {
        "path": str(tmp_path), "metrics": {"total_power": {"unit": "W"}}, "nodes": ["1"],
        "start": start.isoformat(), "end": (start + timedelta(minutes=400)).isoformat(),
    }  # fmt: skip
    (unit,) = open_source("m100_archive", options, seed=0).units
    np.testing.assert_array_equal(unit.series.values[:, 0], np.arange(1000, 1400))


def test_a_metric_that_was_not_collected_then_is_absent_values(tmp_path: Path) -> None:
    write(tmp_path, "22-03", "ipmi_pub", "total_power", "a_0.parquet", **column("good"))
    write(tmp_path, "22-09", "ipmi_pub", "ambient", "a_0.parquet", **column("good"))
    metrics = {"total_power": {"unit": "W"}, "ambient": {"unit": "degC"}}
    source = open_source(
        "m100_archive", {"path": str(tmp_path), "metrics": metrics, "end": "2022-04-01T00:00:00Z"}, seed=0
    )
    assert "ambient was not collected in these months" in source.notes
    (unit,) = source.units
    assert np.isnan(unit.series.values[:, 1]).all()


def test_pages_of_a_snapshot_hold_every_row(tmp_path: Path) -> None:
    """A page may begin or end with a single row of a node, and have none at all."""
    write(tmp_path, "22-03", "ipmi_pub", "total_power", "a_0.parquet", **column("good"))
    values: list[float] = []
    options = {"path": str(tmp_path), "metrics": {"total_power": {"unit": "W"}}}
    for second in range(-1, 4):
        start = datetime(2022, 3, 1, tzinfo=UTC) + timedelta(seconds=second)
        span = {"start": start.isoformat(), "end": (start + timedelta(seconds=1)).isoformat()}
        try:
            source = open_source("m100_archive", options | span, seed=0)
        except NoSamplesError:
            continue
        values += [value for unit in source.units for value in unit.series.values[:, 0].tolist()]
    assert values == [1.0, 2.0, 3.0]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    options = {"path": str(tmp_path), "metrics": {"total_power": {"unit": "W"}}}
    stamps = pa.array(np.datetime64("2022-03-01", "ms") + np.arange(3).astype("timedelta64[s]"))
    for value in (1.0, 2.0):
        write(
            tmp_path, "22-03", "ipmi_pub", "total_power", "a_0.parquet",
            timestamp=stamps, value=np.full(3, value), node=["r205n01"] * 3,
        )  # fmt: skip
        source = open_source("m100_archive", options, seed=0)
        assert isinstance(source.units, Readers)
        (read,) = pickle.loads(pickle.dumps(source.units)).reads.values()
        assert read().series.values[0, 0] == value
        assert read().series.group == "r205"


def test_ingest_reads_it(archive: Path, project: Path) -> None:
    run("m100_archive", path=str(archive), metrics=METRICS, **SPAN)
    dataset = splits.read_dataset()
    assert len(dataset.units) == 45
    assert dataset.licence == "CC-BY-4.0"
    assert len(dataset.files) == 24


def column(kind: str) -> dict[str, object]:
    stamps = pa.array(np.datetime64("2022-03-01", "ms") + np.arange(3).astype("timedelta64[s]"))
    good = {"timestamp": stamps, "value": [1.0, 2.0, 3.0], "node": ["1"] * 3}
    changed = {
        "no node": {"node": None},
        "words": {"value": ["a", "b", "c"]},
        "lists": {"value": [[1], [2], [3]]},
        "text": {"timestamp": ["2022-03-01"] * 3},
    }
    return {name: values for name, values in {**good, **changed.get(kind, {})}.items() if values is not None}


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("no node", {}, "no column 'node'"),
        ("words", {}, "no value of node '1' is a number"),
        ("lists", {}, "column 'value' is list"),
        ("text", {}, "'timestamp' is string, no timestamp"),
        ("good", {"nodes": ["7"]}, "has no sample from 2020-03-01"),
        ("good", {"without": ["1"]}, "has no sample from 2020-03-01"),
        ("good", {"start": "2022-03-02T00:00:00Z"}, "has no sample from 2022-03-02"),
        ("good", {"start": "2022-05-01T00:00:00Z"}, "has no sample from 2022-05-01"),
        ("good", {"metrics": {"nothing": {"unit": "W"}}}, "no plugin=ipmi_pub/metric=nothing in any of its 1 months"),
        ("good", {"path": "elsewhere"}, "holds no folder year_month"),
        ("good", {"start": "2022-03-01T00:00:00"}, "start"),
        ("good", {"minutes": 5}, "give either"),
    ],
)
def test_what_is_no_such_archive_is_named(tmp_path: Path, kind: str, options: dict[str, object], words: str) -> None:
    write(tmp_path, "22-03", "ipmi_pub", "total_power", "a_0.parquet", **column(kind))
    given = {"path": str(tmp_path), "metrics": {"total_power": {"unit": "W"}}, **options}
    with pytest.raises(InputError, match=words) as refused:
        list(open_source("m100_archive", given, seed=0).units)
    assert "\n" not in str(refused.value)


def test_a_cut_file_and_an_odd_month_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "22-03", "ipmi_pub", "total_power", "a_0.parquet", **column("good"))
    given = {"path": str(tmp_path), "metrics": {"total_power": {"unit": "W"}}}
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"is not Parquet.*unpack it again"):
        open_source("m100_archive", given, seed=0)
    (tmp_path / "year_month=22-13").mkdir()
    with pytest.raises(InputError, match="year_month=22-13 is no month"):
        open_source("m100_archive", given, seed=0)


def test_months_are_those_of_the_span(tmp_path: Path) -> None:
    for month in ("20-12", "21-01", "21-02", "21-03"):
        write(tmp_path, month, "p", "m", "a_0.parquet", x=[1])
    span = exadata.Span(datetime(2021, 1, 5, tzinfo=UTC), datetime(2021, 1, 31, 23, 30, tzinfo=UTC))
    found = exadata.files(tmp_path, plugin="p", metric="m", span=span)
    assert [path.parts[-4] for path in found] == ["year_month=21-01", "year_month=21-02"]
