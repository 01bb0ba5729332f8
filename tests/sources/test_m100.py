"""Marconi100 by node and day: real rows from a mirror, absent days absent, racks as groups."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from wattline import splits
from wattline.errors import InputError
from wattline.sources import open_source
from wattline.sources.m100 import COLUMNS

from .conftest import run


def write(folder: Path, rows: list[tuple[int, datetime]], **replaced: object) -> Path:
    (folder / "m100").mkdir(parents=True, exist_ok=True)
    columns: dict[str, object] = {
        "node": pyarrow.array([node for node, _ in rows], pyarrow.int16()),
        "day": pyarrow.array([day for _, day in rows], pyarrow.timestamp("ms")),
    }
    columns |= {column.name: pyarrow.array([1.5] * len(rows), pyarrow.float32()) for column in COLUMNS}
    columns |= replaced
    parquet.write_table(
        pyarrow.table({name: values for name, values in columns.items() if values is not None}),
        folder / "m100" / "node_day.parquet",
    )
    return folder


def days(*numbers: int) -> list[datetime]:
    return [datetime(2021, 1, number) for number in numbers]  # noqa: DTZ001


def test_nodes_become_units_racks_groups_and_absent_days_absent_rows(project, use_mirror):
    rows = [(node, day) for node in (19, 20) for day in days(1, 2, 5)] + [(21, days(1)[0]), (985, days(1)[0])]
    use_mirror(write(project / "mirror", rows))
    run("m100")
    dataset = splits.read_dataset()
    assert [(unit.name, unit.group, unit.rows) for unit in dataset.units] == [
        ("node-0019", "rack-00", 3),
        ("node-0020", "rack-01", 3),
    ]
    assert not dataset.labelled
    assert dataset.units[0].end == datetime(2021, 1, 5, tzinfo=UTC)
    assert any(note.startswith("1 nodes with fewer than 2 days") for note in dataset.notes)
    assert np.isnan(splits.read_raw(dataset, "node-0019").target).all()


def test_a_day_that_comes_twice_is_named(project, refused, use_mirror):
    use_mirror(write(project / "mirror", [(3, day) for day in days(1, 2, 2)]))
    refused("m100", "unit node-0003: timestamp 2021-01-02T00:00:00.000000000Z comes twice")


def test_without_a_mirror_it_says_that_there_is_no_public_home(refused):
    refused("m100", "no public home", "10.1038/s41597-023-02174-3", "WATTLINE_DATA_MIRROR")


def test_a_mirror_file_that_is_absent_damaged_or_narrow_is_named(project, refused, use_mirror):
    use_mirror(write(project / "mirror", [(1, day) for day in days(1, 2)], ambient_mean=None))
    refused("m100", "m100/node_day.parquet", "lacks column 'ambient_mean'")
    (project / "mirror" / "m100" / "node_day.parquet").write_bytes(b"text")
    refused("m100", "m100/node_day.parquet cannot be read", "copy it again")
    (project / "mirror" / "m100" / "node_day.parquet").unlink()
    refused("m100", "the data mirror lacks m100/node_day.parquet")


def test_a_span_without_rows_or_in_reverse_is_refused(project, refused, use_mirror):
    use_mirror(write(project / "mirror", [(1, day) for day in days(1, 2)]))
    refused("m100", "no row from 2020-04-01 to 2020-04-02", first_day=date(2020, 4, 1), last_day=date(2020, 4, 2))
    refused("m100", "first_day must be before last_day", first_day="2021-01-02", last_day="2021-01-02")
    refused("m100", "maximum_nodes must be <= 980", maximum_nodes=981)


def test_the_real_file_gives_the_rows_that_were_asked_for(real_data):
    options = {"maximum_nodes": 40, "first_day": "2021-07-20", "last_day": "2021-08-01"}
    units = list(open_source("m100", options, seed=0).units)
    assert len(units) == 40
    assert {unit.series.group for unit in units} == {"rack-00", "rack-01"}
    for unit in units:
        assert unit.series.timestamps[0] >= np.datetime64("2021-07-20")
        assert unit.series.timestamps[-1] <= np.datetime64("2021-08-01")
    # The hottest day of the archive: 2021-07-28.
    inlet = [column.name for column in COLUMNS].index("ambient_max")
    hot = np.concatenate([unit.series.values[unit.series.timestamps == np.datetime64("2021-07-28"), inlet]
                          for unit in units])  # fmt: skip
    assert np.median(hot) > 28


def test_a_service_node_is_never_a_unit(real_data):
    names = {unit.series.unit for unit in open_source("m100", {"first_day": "2022-05-01"}, seed=0).units}
    assert max(names) == "node-0979"


def test_it_does_not_take_a_missing_mirror_for_an_empty_dataset(project):
    with pytest.raises(InputError, match=r"m100 needs m100/node_day\.parquet"):
        open_source("m100", {}, seed=0)
