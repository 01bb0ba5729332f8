"""A safetensors file: its header describes every byte that follows, and nothing else follows.

https://github.com/huggingface/safetensors#format. As strict as the library, and read without its code.
"""

from math import prod
from pathlib import Path
from typing import Any

from wattline.registry.contents.text import strict_json

LONGEST_HEADER = 100_000_000
"""Bytes, as the library has it."""
SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one element."""
FIELDS = {"dtype", "shape", "data_offsets"}
METADATA = "__metadata__"


def fault(path: Path) -> str | None:
    """Why `path` is no safetensors file, as the end of a sentence; None when it is one."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= length <= min(LONGEST_HEADER, size - 8):
            return "is no safetensors file: its header would not fit in"
        content = stream.read(length)
    try:
        if not content.startswith(b"{"):
            raise ValueError("its header is no JSON object")
        _check(strict_json(content), size - 8 - length)
    except ValueError as error:
        return f"is no safetensors file: {str(error)[:150]}"
    return None


def _check(header: dict[str, Any], size: int) -> None:
    """Raise ValueError unless the tensors of `header` take `size` bytes, each byte once."""
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{METADATA} holds more than texts")
    position = 0
    for name, (begin, end) in sorted(_spans(header).items(), key=lambda item: item[1]):
        if begin != position:
            raise ValueError(f"tensor {name!r} begins at {begin}, the one before ends at {position}")
        position = end
    if position != size:
        raise ValueError(f"its tensors take {position} bytes, it holds {size}")


def _spans(header: dict[str, Any]) -> dict[str, tuple[int, int]]:
    found = {}
    for name, entry in header.items():
        if not isinstance(entry, dict) or entry.keys() != FIELDS or str(entry["dtype"]) not in SIZES:
            raise ValueError(f"tensor {name!r} has no dtype that is known")
        shape, offsets = _naturals(entry["shape"]), _naturals(entry["data_offsets"])
        if len(offsets) != 2 or offsets[1] - offsets[0] != prod(shape) * SIZES[entry["dtype"]]:
            raise ValueError(f"tensor {name!r} does not take the bytes that its shape needs")
        found[name] = (offsets[0], offsets[1])
    return found


def _naturals(values: object) -> list[int]:
    if not isinstance(values, list) or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError("a shape or offset is no list of natural numbers")
    return values
