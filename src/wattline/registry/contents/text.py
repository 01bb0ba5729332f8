"""Text files: UTF-8 without control characters, and JSON that every reader understands alike."""

import json
import math
from pathlib import Path
from typing import Any

LARGEST = 64 * 1024 * 1024
"""Bytes of a text file: more than any report or table of golden answers needs."""
CONTROLS = frozenset(map(chr, range(32))) - set("\t\n\r") | {"\x7f"}


def json_fault(path: Path) -> str | None:
    """Why `path` is no strict JSON (RFC 8259), as the end of a sentence; None when it is."""
    if path.stat().st_size > LARGEST:
        return f"is larger than {LARGEST} bytes"
    try:
        strict_json(path.read_bytes())
    except ValueError as error:
        return f"is no strict JSON: {str(error)[:150]}"
    return None


def markdown_fault(path: Path) -> str | None:
    """Why `path` is no plain text, as the end of a sentence; None when it is."""
    if path.stat().st_size > LARGEST:
        return f"is larger than {LARGEST} bytes"
    try:
        content = path.read_bytes().decode()
    except UnicodeDecodeError:
        return "is no UTF-8 text"
    return "holds control characters, which no text does" if CONTROLS & set(content) else None


def strict_json(content: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises ValueError on anything that readers may understand differently.

    That is: a key twice in one object, NaN and infinities, a number beyond float64, nesting beyond Python's stack.
    """
    try:
        return json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is beyond what a number can hold")
    return value
