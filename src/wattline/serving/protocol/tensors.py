"""Numbers that callers sent, as arrays: C converts them in one go, Python looks at each only to name a fault."""

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from wattline.serving.protocol.jsontext import kind
from wattline.task import FloatArray

INFINITE = 2**128 - 2**103
"""The smallest number that float32 rounds to infinity."""
RARE_LETTERS = ((b"true", b"u"), (b"false", b"l"))
PATIENCE = 16


def packed(values: Sequence[Any], *, text: bytes, missing: bool = False) -> FloatArray | None:
    """JSON values as (len(values),) float32, read-only; None when one of them is no number that float32 can hold.

    text: the JSON that they were read from
    missing: whether null may stand for a missing sample; it becomes NaN
    """
    form = f"{len(values)}f"
    try:
        array = np.frombuffer(struct.pack(form, *values), np.float32)
    except struct.error:
        if not missing or None not in values:
            return None
        return packed([math.nan if value is None else value for value in values], text=text)
    # To `struct`, true is 1.0 and false is 0.0. Types are looked at one by one only where there may be one of them.
    if _may_hold_booleans(text) and ((array == 0) | (array == 1)).any() and bool in map(type, values):
        return None
    return None if np.isinf(array).any() else array


def fault(values: Sequence[Any], *, missing: bool = False) -> tuple[int, str]:
    """Place of the first of `values` that `packed` cannot convert, and what is wrong with it."""
    for place, value in enumerate(values):
        if value is None and missing:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            return place, f"must be a number{' or null' * missing}, got {kind(value)}"
        if not -INFINITE < value < INFINITE:
            return place, f"is {value:g}, more than float32 can hold"
    raise AssertionError("every one of the values can be converted")


def flattened(data: list[Any], shape: tuple[int, int, int]) -> tuple[Any, ...] | None:
    """The values of lists of lists of lists, row by row; None when their lengths are not those of `shape`."""
    _, rows, columns = shape
    if set(map(type, data)) != {list} or set(map(len, data)) != {rows}:
        return None
    inner = tuple(chain.from_iterable(data))
    if set(map(type, inner)) != {list} or set(map(len, inner)) != {columns}:
        return None
    return tuple(chain.from_iterable(inner))


def _may_hold_booleans(text: bytes) -> bool:
    """Whether true or false may stand in `text`.

    Looking for one rare letter of each is an order of magnitude faster than for the word, as long as it is rare.
    """
    for word, letter in RARE_LETTERS:
        offset, found = word.index(letter), text.find(letter)
        for _ in range(PATIENCE):
            if found < 0:
                break
            if text[max(0, found - offset) : found - offset + len(word)] == word:
                return True
            found = text.find(letter, found + 1)
        else:
            return True
    return False
