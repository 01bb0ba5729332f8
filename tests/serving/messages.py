"""Requests that are answered, to start from: whoever breaks something breaks one of these."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import numpy as np
from builders import COLUMNS, STEPS, signature
from numpy.typing import NDArray

from wattline.serving.protocol import cut, openinference
from wattline.serving.protocol.openinference import Inference
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

SIGNATURE = signature()
NAMES = [column.name for column in COLUMNS]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
FUTURE_SECONDS = 60.0
MOST_WINDOWS = 8
LENGTH_BYTES = 2
"""A fuzzed request begins with the length of its JSON, little-endian; all ones: without that header."""


def windows(count: int = 1, *, seed: int = 0) -> FloatArray:
    """(count, STEPS, columns) random values."""
    return np.random.default_rng(seed).normal(2, 3, (count, STEPS, len(NAMES))).astype(np.float32)


def tensor(name: str, values: NDArray[Any], *, datatype: str, nested: bool = False) -> dict[str, Any]:
    """One input as JSON."""
    data = values.tolist() if nested else values.ravel().tolist()
    return {"name": name, "shape": list(values.shape), "datatype": datatype, "data": data}


def inputs(values: FloatArray, units: Sequence[int], *, nested: bool = False) -> list[dict[str, Any]]:
    """Both inputs as JSON."""
    return [
        tensor("window", values, datatype="FP32", nested=nested),
        tensor("unit", np.asarray(units, np.int64), datatype="INT64"),
    ]


def binary_inputs(values: FloatArray, units: Sequence[int]) -> tuple[list[dict[str, Any]], bytes]:
    """Both inputs as they are described in JSON, and their bytes."""
    given = np.asarray(units, np.int64)
    described = [
        {"name": "window", "shape": list(values.shape), "datatype": "FP32"},
        {"name": "unit", "shape": list(given.shape), "datatype": "INT64"},
    ]
    for entry, array in zip(described, (values, given), strict=True):
        entry["parameters"] = {"binary_data_size": array.nbytes}
    return described, values.astype("<f4").tobytes() + given.astype("<i8").tobytes()


def with_bytes(content: Mapping[str, Any], raw: bytes) -> tuple[bytes, str]:
    """Body and Inference-Header-Content-Length of a request whose tensors follow its JSON."""
    text = json.dumps(content).encode()
    return text + raw, str(len(text))


def check_inference(inference: Inference) -> None:
    """Assert what holds of everything that was decoded."""
    count = len(inference.units)
    assert inference.windows.shape == (count, STEPS, len(NAMES))
    assert (inference.windows.dtype, inference.units.dtype) == (np.float32, np.int64)
    assert 1 <= count <= MOST_WINDOWS
    assert not np.isinf(inference.windows).any()
    assert inference.outputs
    assert {output.name for output in inference.outputs} <= {tensor.name for tensor in SIGNATURE.outputs}


def both_ways(text: bytes) -> tuple[Inference | str, Inference | str]:
    """What becomes of a request in JSON whose numbers are cut out first, and of the same read as a whole.

    returns: twice what was read, or why it was refused
    """
    with patch.object(cut, "SMALLEST", 0):
        quick = _read(text)
    with patch.object(cut, "numbers", lambda _: None):
        return quick, _read(text)


def check_same(text: bytes) -> None:
    """Assert that the one way makes of `text` what the other one does, to the bit."""
    quick, whole = both_ways(text)
    if isinstance(quick, str) or isinstance(whole, str):
        assert quick == whole
        return
    assert (quick.id, quick.outputs) == (whole.id, whole.outputs)
    assert quick.units.tolist() == whole.units.tolist()
    # JSON's -0 is 0 as a whole number, and the sign of a zero is nothing that a reading has.
    np.testing.assert_array_equal(quick.windows + 0.0, whole.windows + 0.0)
    check_inference(quick)


def _read(text: bytes) -> Inference | str:
    try:
        return openinference.decode(text, header_length=None, signature=SIGNATURE, maximum_windows=MOST_WINDOWS)
    except RefusedError as error:
        return str(error)


def question(**changes: Any) -> dict[str, Any]:
    """A question for /predict: value 10 x step + column."""
    rows = [{name: float(10 * step + place) for place, name in enumerate(NAMES)} for step in range(STEPS)]
    return {"unit": "node-03", "rows": rows} | changes


def columns(rows: int = 10, *, units: Sequence[str] = ("node-01", "node-99")) -> dict[str, Any]:
    """Columns of a table for /predict/batch, units in turn: value 10 x row + column, some of the last missing."""
    values = {name: [float(10 * row + place) for row in range(rows)] for place, name in enumerate(NAMES)}
    values[NAMES[-1]] = [None if row % 3 == 0 else value for row, value in enumerate(values[NAMES[-1]])]
    return {"unit": [units[row % len(units)] for row in range(rows)], **values}


def expected_windows(table: Mapping[str, Sequence[Any]], newest: Sequence[int]) -> FloatArray:
    """The windows that end in the rows `newest` of a table of such columns."""
    found = []
    for row in newest:
        mine = [at for at in range(row + 1) if table["unit"][at] == table["unit"][row]][-STEPS:]
        found.append([[math.nan if table[name][at] is None else table[name][at] for name in NAMES] for at in mine])
    return np.array(found, np.float32)


def stream(table: Any, **options: Any) -> bytes:
    """A table (of pyarrow, or its columns) as an Arrow IPC stream.

    options: of pyarrow.ipc.IpcWriteOptions; `chunk` is the largest number of rows in a batch
    """
    import pyarrow as pa

    table = table if isinstance(table, pa.Table) else pa.table(table)
    chunk = options.pop("chunk", None)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return sink.getvalue()
