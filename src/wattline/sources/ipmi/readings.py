"""Readings of many nodes in one Parquet table: node, sensor, instant, value and unit in each row."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.sources.channels import Channel
from wattline.sources.ipmi.files import Found
from wattline.sources.timestamps import instants

if TYPE_CHECKING:
    import pyarrow

COLUMNS = ("node", "sensor", "ts", "value", "unit")


def read(path: Path, columns: Mapping[str, tuple[str, str]], *, timezone: str | None) -> Iterator[tuple[str, Found]]:
    """What was found of each node, by name. columns: sensor -> (column, its unit).

    Raises InputError naming the file and what is wrong with it.
    """
    import pyarrow
    from pyarrow import compute, parquet

    try:
        table = parquet.read_table(path, partitioning=None)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not Parquet: {str(error).splitlines()[0]}; write it again") from None
    absent = [name for name in COLUMNS if name not in table.column_names]
    if absent:
        raise InputError(f"{path} has no column {absent[0]!r}; a table of readings has {', '.join(COLUMNS)}")
    table = table.set_column(table.column_names.index("sensor"), "sensor", table["sensor"].cast(pyarrow.string()))
    table = table.filter(compute.is_in(table["sensor"], value_set=pyarrow.array(list(columns))))
    if not len(table):
        raise InputError(f"{path} has none of the sensors {', '.join(columns)}; correct `metrics`")
    yield from _by_node(table, columns, instants(table["ts"], "ts", timezone=timezone, where=str(path)))


def _by_node(
    table: "pyarrow.Table",
    columns: Mapping[str, tuple[str, str]],
    times: NDArray[np.datetime64],
) -> Iterator[tuple[str, Found]]:
    import pyarrow

    nodes, sensors, units = (
        table[name].cast(pyarrow.string()).combine_chunks().dictionary_encode() for name in ("node", "sensor", "unit")
    )
    codes = nodes.indices.to_numpy(zero_copy_only=False)
    values = np.asarray(table["value"].cast(pyarrow.float64()).to_numpy(), dtype=np.float64)
    kinds = sensors.dictionary.to_pylist()
    said = np.array(units.dictionary.to_pylist(), dtype=object)
    places = sensors.indices.to_numpy(zero_copy_only=False)
    marks = units.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(nodes.dictionary)))
    owned = dict(zip(nodes.dictionary.to_pylist(), np.split(order, ends[:-1]), strict=True))
    for node in sorted(owned):
        rows = owned[node]
        channels: dict[str, Channel] = {}
        refused: Counter[str] = Counter()
        for place in np.unique(places[rows]).tolist():
            column, unit = columns[kinds[place]]
            mine = rows[places[rows] == place]
            right = said[marks[mine]] == unit
            if not right.all():
                refused[f"{kinds[place]} is not in {unit}"] += int((~right).sum())
            taken = mine[right & np.isfinite(values[mine])]
            refused["the value is not finite"] += int(np.isinf(values[mine]).sum())
            channels[column] = (times[taken].astype(np.int64), values[taken])
        yield node, Found(channels, +refused)
