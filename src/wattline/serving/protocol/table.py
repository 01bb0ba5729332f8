"""What /predict/batch gets and gives: rows of many units as an Arrow stream, an answer for each complete window."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wattline.records import Signature
from wattline.serving.protocol.arrow_columns import TIMESTAMP, UNIT, read_columns
from wattline.serving.protocol.jsontext import shown
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True, slots=True)
class Rows:
    """The complete windows of a table, in the order of their newest rows.

    windows: (n, steps, columns) float32 in the signature's column order, NaN where missing
    units: (n,) places in the signature's units, -1 for an unknown one
    names: (n,) names of those units
    numbers: (n,) the newest row of each window, counted from 0 in the table
    timestamps: (n,) of those rows, datetime64 in the table's own unit of time, UTC; None: the table has none
    """

    windows: FloatArray
    units: NDArray[np.int64]
    names: tuple[str, ...]
    numbers: NDArray[np.int64]
    timestamps: NDArray[np.datetime64] | None


def decode_table(
    body: bytes,
    signature: Signature,
    *,
    extra_columns: Literal["refuse", "ignore"],
    maximum_windows: int,
    now: datetime,
    future_seconds: float,
) -> Rows:
    """Read rows of `unit`, the signature's columns and perhaps `timestamp`; those of a unit are in the order of time.

    Raises RefusedError naming the column, row or unit: 400 for what is no sound Arrow stream, 422 for another table.
    """
    columns = read_columns(
        body,
        [column.name for column in signature.columns],
        ignore=extra_columns == "ignore",
        maximum_rows=maximum_windows * signature.steps,  # no more can be part of so many windows
    )
    names = list(dict.fromkeys(columns.units))
    codes = np.fromiter(map({name: code for code, name in enumerate(names)}.__getitem__, columns.units), np.int64)
    order = np.argsort(codes, kind="stable")
    starts = _starts(codes[order], signature.steps, names, maximum=maximum_windows)
    if columns.timestamps is not None:
        _check_past(columns.timestamps, now=now, future_seconds=future_seconds)
        _check_increasing(columns.timestamps, codes, order)
    numbers = order[starts + signature.steps - 1]
    by_row = np.argsort(numbers)
    numbers, starts = numbers[by_row], starts[by_row]
    values = columns.values[order]
    windows = sliding_window_view(values, (signature.steps, values.shape[1]))[:, 0]
    return Rows(
        windows=windows if len(names) == 1 else windows[starts],  # of one unit they are in order, and need no copy
        units=np.array([signature.index(name) for name in names], np.int64)[codes[numbers]],
        names=tuple(columns.units[number] for number in numbers.tolist()),
        numbers=numbers,
        timestamps=None if columns.timestamps is None else columns.timestamps[numbers],
    )


def encode_table(rows: Rows, outputs: Mapping[str, NDArray[Any]]) -> bytes:
    """An Arrow stream with unit, row, timestamp (where the table has it), score, threshold, alarm.

    outputs: output name -> (n, ...) array; what is not finite, or not there, becomes null
    """
    from arro3.core import Array, DataType, Table
    from arro3.io import write_ipc_stream

    scores, thresholds = (_finite(outputs.get(name), len(rows.numbers)) for name in ("score", "threshold"))
    alarms = [
        None if score is None or threshold is None else score > threshold
        for score, threshold in zip(scores, thresholds, strict=True)
    ]
    columns: dict[str, Any] = {UNIT: Array(list(rows.names), DataType.utf8()), "row": Array.from_numpy(rows.numbers)}
    if rows.timestamps is not None:
        kind = DataType.timestamp(_resolution(rows.timestamps), tz="UTC")
        columns[TIMESTAMP] = Array.from_numpy(rows.timestamps.view(np.int64)).cast(kind)
    columns["score"] = Array(scores, DataType.float32())
    columns["threshold"] = Array(thresholds, DataType.float32())
    columns["alarm"] = Array(alarms, DataType.bool())
    sink = io.BytesIO()
    write_ipc_stream(Table.from_pydict(columns), sink)
    return sink.getvalue()


def _starts(codes: NDArray[np.int64], steps: int, names: list[str], *, maximum: int) -> NDArray[np.int64]:
    """Where windows begin in rows that are sorted by unit: wherever the last of `steps` rows is still of the unit."""
    starts = np.flatnonzero(codes[steps - 1 :] == codes[: max(0, len(codes) - steps + 1)])
    if not len(starts):
        counts = np.bincount(codes)
        most = int(counts.argmax())
        what = f"unit {shown(names[most])} has {counts[most]} rows and no other has more"
        raise RefusedError(f"a window needs {steps} rows of one unit; {what}", status=422)
    if len(starts) > maximum:
        message = f"the table has {len(starts)} complete windows, a request may have {maximum}; send it in parts"
        raise RefusedError(message, status=422)
    return starts


def _check_past(timestamps: NDArray[np.datetime64], *, now: datetime, future_seconds: float) -> None:
    instants = timestamps.view(np.int64)
    newest = int(instants.argmax())
    seconds = int(instants[newest]) / PER_SECOND[_resolution(timestamps)]
    if seconds > now.timestamp() + future_seconds:
        here = now.isoformat(timespec="seconds")
        raise RefusedError(f"{TIMESTAMP} of row {newest} lies in the future: here it is {here}", status=422)


def _check_increasing(timestamps: NDArray[np.datetime64], codes: NDArray[np.int64], order: NDArray[np.int64]) -> None:
    """Raise RefusedError naming the first row whose timestamp is not after that of its unit's row before.

    codes: (rows,) which unit each row is of
    order: (rows,) rows sorted by unit
    """
    instants, units = timestamps.view(np.int64)[order], codes[order]
    wrong = np.flatnonzero((instants[1:] <= instants[:-1]) & (units[1:] == units[:-1]))
    if len(wrong):
        before, row = order[wrong[0]], order[wrong[0] + 1]
        what = f"{TIMESTAMP} of row {row} is not after that of row {before}, the one before of the same unit"
        raise RefusedError(f"{what}; sort the rows by time", status=422)


def _resolution(timestamps: NDArray[np.datetime64]) -> Any:
    return np.datetime_data(timestamps.dtype)[0]


def _finite(values: NDArray[Any] | None, count: int) -> list[float | None]:
    if values is None:
        return [None] * count
    return [value if math.isfinite(value) else None for value in values.tolist()]
