"""Marconi100 by node and day: power, inlet temperature and load of 980 real nodes, 2020-03 to 2022-05, unlabelled."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field, model_validator

from wattline.errors import InputError
from wattline.params import Section
from wattline.records import Column
from wattline.sources import mirror
from wattline.sources.source import Source, UnitSeries
from wattline.task import Series

if TYPE_CHECKING:
    import pyarrow

FILE = "node_day.parquet"
DOI = "10.1038/s41597-023-02174-3"
NODES = 980
NODES_PER_RACK = 20
COLUMNS = (
    Column(name="total_power_mean", unit="W", description="node power, mean of the day's 20 s samples"),
    Column(name="total_power_max", unit="W", description="node power, highest of the day's 20 s samples"),
    Column(name="total_power_n", unit="1", description="samples of node power; 4,320 in a complete day"),
    Column(name="ambient_mean", unit="degC", description="inlet temperature, mean of the day"),
    Column(name="ambient_max", unit="degC", description="inlet temperature, highest of the day"),
    Column(name="ambient_n", unit="1", description="samples of inlet temperature; 4,320 in a complete day"),
    Column(name="p0_power_mean", unit="W", description="power of socket 0, mean of the day"),
    Column(name="p1_power_mean", unit="W", description="power of socket 1, mean of the day"),
    Column(name="cpu_user_mean", unit="%", description="CPU time in user mode, mean of the day; absent before 2020-05"),
    Column(name="cpu_user_max", unit="%", description="CPU time in user mode, highest; absent before 2020-05"),
    Column(name="load_one_mean", unit="1", description="one-minute load average, mean; absent before 2020-05"),
    Column(name="load_one_max", unit="1", description="one-minute load average, highest; absent before 2020-05"),
    Column(name="boot_ndistinct", unit="1", description="distinct boot times seen; above 1 the node rebooted"),
)


class Options(Section):
    """Which part of the fleet. maximum_nodes: nodes from number 0 on. first_day, last_day: both included, UTC."""

    maximum_nodes: int = Field(default=NODES, ge=1, le=NODES)
    first_day: date = date(2020, 3, 9)
    last_day: date = date(2022, 5, 31)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first_day >= self.last_day:
            raise ValueError(f"first_day must be before last_day {self.last_day}")
        return self


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Open `m100/node_day.parquet` of the data mirror. Raises InputError without one: this file has no public home."""
    root = mirror.folder("m100")
    if root is None:
        raise InputError(
            f"m100 needs m100/{FILE} below WATTLINE_DATA_MIRROR: this aggregate of M100 ExaData (doi {DOI}) has no "
            "public home of its own; set the variable, or use another source"
        )
    described = mirror.describe(root / FILE, root=root)
    table = _rows(root / FILE, options)
    nodes, counts = np.unique(table["node"].to_numpy(), return_counts=True)
    if not len(nodes):
        raise InputError(
            f"m100 has no row from {options.first_day} to {options.last_day}; choose days within 2020-2022"
        )
    return Source(
        name="m100",
        home=f"https://doi.org/{DOI}",
        licence="CC-BY-4.0",
        citation=f"Borghesi et al., M100 ExaData, Scientific Data 10, 288 (2023), doi {DOI}; aggregated and rounded",
        cadence_seconds=86_400,
        columns=COLUMNS,
        labelled=False,
        units=_units(table, nodes[counts >= 2]),
        unit_count=int((counts >= 2).sum()),
        files=(described,),
        notes=(
            "days without telemetry are absent rows; 74 days are absent for every node",
            f"{int((counts < 2).sum())} nodes with fewer than 2 days between {options.first_day} and "
            f"{options.last_day} and the service nodes (number {NODES} and above) are left out",
        ),
    )


def _rows(path: Path, options: Options) -> "pyarrow.Table":
    import pyarrow
    from pyarrow import compute, parquet

    names = ["node", "day", *(column.name for column in COLUMNS)]
    try:
        missing = [name for name in names if name not in parquet.read_schema(path).names]
        if missing:
            raise InputError(f"the data mirror's m100/{FILE} lacks column {missing[0]!r}; copy it again")
        table = parquet.read_table(path, columns=names)
    except (pyarrow.ArrowInvalid, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"the data mirror's m100/{FILE} cannot be read: {first}; copy it again") from None
    days = compute.cast(table["day"], pyarrow.date32())
    wanted = compute.and_(
        compute.and_(
            compute.greater_equal(days, pyarrow.scalar(options.first_day)),
            compute.less_equal(days, pyarrow.scalar(options.last_day)),
        ),
        compute.less(table["node"], options.maximum_nodes),
    )
    return table.filter(wanted).sort_by([("node", "ascending"), ("day", "ascending")])


def _units(table: "pyarrow.Table", nodes: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> Iterator[UnitSeries]:
    owners = table["node"].to_numpy()
    names = tuple(column.name for column in COLUMNS)
    for node in nodes.tolist():
        first, last = np.searchsorted(owners, [node, node + 1])
        rows = table.slice(first, last - first)
        series = Series(
            unit=f"node-{node:04d}",
            group=f"rack-{node // NODES_PER_RACK:02d}",
            timestamps=rows["day"].to_numpy().astype("datetime64[ns]"),
            values=np.stack([rows[name].to_numpy() for name in names], axis=1).astype(np.float32),
            target=np.full(len(rows), np.nan),
        )
        yield UnitSeries(series, names)
