"""Whether all of an ONNX graph lies in its own bytes, told without the onnx package: the server has none.

A tensor may name another file, and a run would then use bytes that nobody has verified.
"""

from collections.abc import Iterator

from wattline.errors import InputError

# Field numbers of onnx.proto that lead to tensors: message -> field -> message.
CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
EXTERNAL_DATA = 13
DATA_LOCATION = 14
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LARGEST_VARINT = 10
"""Bytes of the longest varint that protobuf reads."""


def check(graph: bytes, *, place: str) -> None:
    """Raise InputError when a tensor of `graph` lies in another file, or when `graph` is no protobuf message."""
    pending = [("model", memoryview(graph))]
    while pending:
        kind, message = pending.pop()
        for field, value in _fields(message, place):
            if kind == "tensor" and (field == EXTERNAL_DATA or (field == DATA_LOCATION and value != 0)):
                raise InputError(f"{place} keeps tensors in another file; export it with all of them inside")
            child = CHILDREN[kind].get(field)
            if child is not None and isinstance(value, memoryview):
                pending.append((child, value))


def _fields(message: memoryview, place: str) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers of `message` with their values: numbers, or bytes that are not copied."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position, place)
        field, kind = key >> 3, key & 7
        value: int | memoryview
        if kind == VARINT:
            value, position = _varint(message, position, place)
        elif kind in (BYTES, FIXED32, FIXED64):
            size = {FIXED32: 4, FIXED64: 8}.get(kind, 0)
            if kind == BYTES:
                size, position = _varint(message, position, place)
            value = message[position : position + size]
            if len(value) != size:
                raise _unreadable(place)
            position += size
        else:  # groups, which no version of ONNX ever had
            raise _unreadable(place)
        yield field, value


def _varint(message: memoryview, position: int, place: str) -> tuple[int, int]:
    value = shift = 0
    for byte in message[position : position + LARGEST_VARINT]:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
        if byte < 0x80:
            return value, position
    raise _unreadable(place)


def _unreadable(place: str) -> InputError:
    return InputError(f"{place} cannot be loaded by ONNX Runtime: it is no ONNX graph; run `dvc repro` to make it anew")
