"""Values of the columns of an Arrow stream: from the buffers of a chunk to arrays and names."""

import struct
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattline.serving.protocol.arrow_stream import Chunk
from wattline.serving.protocol.flatbuffer import damaged
from wattline.serving.refusal import RefusedError

LONGEST_NAME = 1000
VIEW = struct.Struct("<i4sii")
INLINE = 12
"""A view of so many bytes holds them itself."""
Names = list[str | None]


def numbers(chunk: Chunk) -> NDArray[Any]:
    """(rows,) numbers as they were sent; what stands where one is missing means nothing."""
    return _array(chunk, 1, chunk.field.dtype, chunk.rows)


def present(chunk: Chunk) -> NDArray[np.bool_] | None:
    """(rows,) whether there is a value; None: there is one everywhere."""
    if not chunk.buffers[0]:
        return None
    bits = np.unpackbits(_array(chunk, 0, "u1", (chunk.rows + 7) // 8), bitorder="little", count=chunk.rows)
    return bits.astype(np.bool_)


def names(chunk: Chunk, decoded: dict[int, Names]) -> Names:
    """The texts of a column, None where one is missing.

    decoded: entries of dictionaries that were needed before, by the identity of their chunk
    """
    if chunk.field.dictionary is None:
        texts: Names = list(_views(chunk) if chunk.field.type == "Utf8View" else _texts(chunk))
    else:
        if chunk.dictionary is None:
            raise damaged(f"column {chunk.field.name} comes before its dictionary")
        entries = decoded.get(id(chunk.dictionary))
        if entries is None:
            entries = decoded[id(chunk.dictionary)] = names(chunk.dictionary, decoded)
        texts = _picked(entries, chunk)
    there = present(chunk)
    return texts if there is None else [text if is_there else None for text, is_there in zip(texts, there, strict=True)]


def _array(chunk: Chunk, place: int, dtype: str, count: int) -> NDArray[Any]:
    kind, buffer = np.dtype(dtype), chunk.buffers[place]
    if count * kind.itemsize > len(buffer):
        raise damaged(f"column {chunk.field.name} has {len(buffer)} bytes for {count} values")
    return np.frombuffer(buffer, kind, count) if count else np.empty(0, kind)


def _picked(entries: Names, chunk: Chunk) -> Names:
    places, there = numbers(chunk), present(chunk)
    if there is not None:
        places = np.where(there, places, 0)
        entries = entries or [None]
    if len(places) and not 0 <= int(places.min()) <= int(places.max()) < len(entries):
        raise damaged(f"column {chunk.field.name} points outside of its dictionary")
    return [entries[place] for place in places.tolist()]


def _texts(chunk: Chunk) -> list[str]:
    wide = chunk.field.type == "LargeUtf8"
    # A column without rows may come without offsets.
    offsets = _array(chunk, 1, "<i8" if wide else "<i4", chunk.rows + 1 if chunk.rows else 0).tolist()
    return [_text(chunk, chunk.buffers[2], start, stop - start) for start, stop in pairwise(offsets)]


def _views(chunk: Chunk) -> list[str]:
    raw = _array(chunk, 1, "V16", chunk.rows).tobytes()
    texts: dict[bytes, str] = {}
    for at in range(0, len(raw), VIEW.size):
        view = raw[at : at + VIEW.size]
        if view not in texts:
            size, _, place, start = VIEW.unpack(view)
            if size <= INLINE:
                texts[view] = _text(chunk, memoryview(view), 4, size)
            elif 0 <= place < len(chunk.buffers) - 2:
                texts[view] = _text(chunk, chunk.buffers[2 + place], start, size)
            else:
                raise damaged(f"column {chunk.field.name} points outside of its texts")
    return [texts[raw[at : at + VIEW.size]] for at in range(0, len(raw), VIEW.size)]


def _text(chunk: Chunk, data: memoryview, start: int, size: int) -> str:
    if size > LONGEST_NAME:
        message = f"column {chunk.field.name} holds a text of {size} bytes, {LONGEST_NAME} are the most"
        raise RefusedError(message, status=422)
    if min(start, size) < 0 or start + size > len(data):
        raise damaged(f"column {chunk.field.name} points outside of its texts")
    try:
        return str(data[start : start + size], "utf-8")
    except UnicodeDecodeError:
        raise RefusedError(f"column {chunk.field.name} holds a text that is not UTF-8", status=422) from None
