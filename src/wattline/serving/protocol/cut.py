"""Takes the numbers of a tensor out of JSON before Python makes an object of each of them."""

import re
import secrets
from typing import Any

import numpy as np
import simdjson

from wattline.task import FloatArray

LARGEST = 2 * 1024**2
"""The parser keeps memory of about twelve times the longest list that it has read [bytes]."""
SMALLEST = 256
"""What is shorter is not worth it, and is not the window either [bytes]."""
DATA = re.compile(rb'"data"\s{0,8}:\s{0,8}(?=\[)')
TRIES = 4
PLACEHOLDER = secrets.token_hex(16)
"""What stands in the text in place of the numbers; nobody who sends a request knows it."""

_quoted = b'"%s"' % PLACEHOLDER.encode()
_parser = simdjson.Parser()


def numbers(text: bytes) -> tuple[bytes, FloatArray] | None:
    """`text` with PLACEHOLDER for the first long list of numbers called data, and these numbers.

    To be called by one thread. None: there is no such list, or one of its values is no number that float32 can hold.
    """
    start = 0
    for _ in range(TRIES):
        found = DATA.search(text, start)
        if found is None:
            return None
        start = found.end()
        end = text.find(b"]", start) + 1
        if SMALLEST <= end - start <= LARGEST:
            values = _floats(text[start:end])
            return None if values is None else (b"".join((text[:start], _quoted, text[end:])), values)
    return None


def _floats(text: bytes) -> FloatArray | None:
    """A flat list of numbers; None for whatever else `text` is."""
    try:
        parsed: Any = _parser.parse(text)
        values = np.frombuffer(parsed.as_buffer(of_type="d"), np.float64)
    except (AttributeError, ValueError, TypeError, RuntimeError):  # what simdjson raises, and for what is no list
        return None
    with np.errstate(over="ignore"):
        narrow: FloatArray = values.astype(np.float32)
    return None if np.isinf(narrow).any() else narrow
