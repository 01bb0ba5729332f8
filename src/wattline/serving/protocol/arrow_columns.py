"""The columns of a table that the server understands: unit, perhaps timestamp, and those of the signature."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline.serving.protocol.arrow_schema import TEXTS, Field
from wattline.serving.protocol.arrow_stream import Chunk, Stream
from wattline.serving.protocol.arrow_values import Names, names, numbers, present
from wattline.serving.protocol.columns import check_names
from wattline.serving.protocol.jsontext import shown
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

UNIT, TIMESTAMP = "unit", "timestamp"
NUMBERS = ("Int", "FloatingPoint", "Null")
"""A column of type Null is one in which everything is missing."""
Batches = Sequence[dict[str, Chunk]]


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of a table, in its own order.

    units: (rows,) names
    values: (rows, columns) float32, NaN where missing
    timestamps: (rows,) datetime64, UTC, or None
    """

    units: list[str]
    values: FloatArray
    timestamps: NDArray[np.datetime64] | None


def read_columns(body: bytes, wanted: Sequence[str], *, ignore: bool, maximum_rows: int) -> Columns:
    """Read `unit`, `wanted` and perhaps `timestamp`. Raises RefusedError naming the column, and the row if it can.

    ignore: whether there may be other columns
    """
    stream = Stream(body)
    fields = {field.name: field for field in stream.fields}
    optional = fields if ignore else (TIMESTAMP,)
    check_names(fields, (UNIT, *wanted), optional=optional, place="the table", what="column")
    _check_types(fields, wanted)
    batches = list(stream.batches({UNIT, TIMESTAMP, *wanted}, maximum_rows=maximum_rows))
    if not batches:
        raise _refused("the table has no rows")
    timestamps = _timestamps(batches, fields[TIMESTAMP].unit) if TIMESTAMP in fields else None
    return Columns(_units(batches), _values(batches, wanted), timestamps)


def _check_types(fields: dict[str, Field], wanted: Collection[str]) -> None:
    for name in wanted:
        field = fields[name]
        if field.type not in NUMBERS or field.dictionary is not None:
            raise _refused(f"column {name} must hold integers or floats, it is of type {_type(field)}")
    if fields[UNIT].type not in TEXTS:
        raise _refused(f"column {UNIT} must hold texts, it is of type {_type(fields[UNIT])}")
    time = fields.get(TIMESTAMP)
    if time is not None and (time.type != "Timestamp" or time.dictionary is not None or not time.zone):
        raise _refused(f"column {TIMESTAMP} must hold timestamps with time zone UTC, it is of type {_type(time)}")


def _type(field: Field) -> str:
    kind = f"{field.type} without a time zone" if field.type == "Timestamp" and not field.zone else field.type
    return f"{kind} in a dictionary" if field.dictionary is not None else kind


def _units(batches: Batches) -> list[str]:
    decoded: dict[int, Names] = {}
    found: list[str] = []
    for batch in batches:
        for name in names(batch[UNIT], decoded):
            if not name:
                raise _refused(f"{UNIT} of row {len(found)} is {'null' if name is None else 'empty'}")
            found.append(name)
    return found


def _timestamps(batches: Batches, unit: str) -> NDArray[np.datetime64]:
    start = 0
    for chunk in (batch[TIMESTAMP] for batch in batches):
        there = present(chunk)
        if there is not None and not there.all():
            raise _refused(f"{TIMESTAMP} of row {start + int(there.argmin())} is null")
        start += chunk.rows
    return np.concatenate([numbers(batch[TIMESTAMP]) for batch in batches]).view(f"M8[{unit}]")


def _values(batches: Batches, wanted: Sequence[str]) -> FloatArray:
    values = np.empty((sum(batch[UNIT].rows for batch in batches), len(wanted)), np.float32)
    start = 0
    for batch in batches:
        stop = start + batch[UNIT].rows
        for place, name in enumerate(wanted):
            _fill(values[start:stop, place], batch[name])
        start = stop
    infinite = np.isinf(values)
    if infinite.any():
        row, place = np.argwhere(infinite)[0].tolist()
        raise _refused(f"{shown(wanted[place])} of row {row} is infinite in float32; send null for a missing sample")
    return values


def _fill(target: FloatArray, chunk: Chunk) -> None:
    if chunk.field.type == "Null":
        target[:] = np.nan
        return
    with np.errstate(over="ignore", invalid="ignore"):  # too large becomes infinite, which is looked for
        target[:] = numbers(chunk)
    there = present(chunk)
    if there is not None:
        target[~there] = np.nan


def _refused(message: str) -> RefusedError:
    return RefusedError(message, status=422)
