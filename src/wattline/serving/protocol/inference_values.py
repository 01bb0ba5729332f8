"""The tensors of an inference request: from lists, or from the bytes behind the JSON, to arrays."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattline.records import Signature
from wattline.serving.protocol.inference_header import Header, refuse
from wattline.serving.protocol.jsontext import kind
from wattline.serving.protocol.tensors import fault, flattened, packed
from wattline.task import FloatArray

FLOAT, INTEGER = np.dtype("<f4"), np.dtype("<i8")
LENGTH = struct.Struct("<I")


def windows_of(header: Header, raw: memoryview, signature: Signature, *, text: bytes) -> FloatArray:
    """(count, steps, columns) float32, aligned and read-only. Raises RefusedError naming the value that is no number.

    raw: the bytes behind the JSON
    text: the JSON
    """
    part, shape = header.window, (header.count, signature.steps, len(signature.columns))
    if part.data is None:
        # Bytes of their own are aligned; where they lie in a body, they are so by chance only.
        windows: FloatArray = np.ndarray(shape, FLOAT, bytes(raw[part.start : part.start + part.size]))
        if np.isinf(windows).any():
            place = int(np.flatnonzero(np.isinf(windows))[0])
            refuse(f"{part.name}[{place}] is infinite; send NaN for a missing sample")
        return windows
    values: Sequence[Any] | None = part.data
    if type(part.data[0]) is list:
        values = flattened(part.data, shape)
    if values is None:
        refuse(f"data of {part.name} must be flat, or lists in lists in a list of shape {list(shape)}")
    array = packed(values, text=text)
    if array is None:
        place, what = fault(values)
        refuse(f"{part.name}[{place}] {what}")
    return array.reshape(shape)


def units_of(header: Header, raw: memoryview, signature: Signature) -> NDArray[np.int64]:
    """(count,) int64: as they were given, or the places of the given names, -1 for an unknown one."""
    part = header.unit
    mine = bytes(raw[part.start : part.start + part.size])
    if part.datatype == "INT64":
        return np.frombuffer(mine, INTEGER) if part.data is None else _integers(part.data, part.name)
    names = _strings(mine, part.name, count=header.count) if part.data is None else part.data
    places = {name: place for place, name in enumerate(signature.units)}
    for place, name in enumerate(names):
        if type(name) is not str:
            refuse(f"{part.name}[{place}] must be the name of a unit, got {kind(name)}")
    return np.array([places.get(name, -1) for name in names], dtype=INTEGER)


def _integers(values: list[Any], name: str) -> NDArray[np.int64]:
    for place, value in enumerate(values):
        if type(value) is not int or value >= 2**63:
            refuse(f"{name}[{place}] must be a whole number of 64 bits, got {kind(value)}")
    return np.array(values, dtype=INTEGER)


def _strings(raw: bytes, name: str, *, count: int) -> list[str]:
    """`count` strings, each behind its length."""
    found: list[str] = []
    start = 0
    while start < len(raw) and len(found) < count:
        begin = start + LENGTH.size
        start = begin + LENGTH.unpack_from(raw, start)[0] if begin <= len(raw) else len(raw) + 1
        if start > len(raw):
            break
        try:
            found.append(raw[begin:start].decode())
        except UnicodeDecodeError:
            refuse(f"{name}[{len(found)}] is not UTF-8")
    if start != len(raw) or len(found) != count:
        refuse(f"the bytes of {name} must be {count} strings, each behind its length in 4 bytes")
    return found
