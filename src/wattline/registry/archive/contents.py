"""Whether a file's bytes are of the kind that its name says: no pickle or archive moves under another name."""

import json
from pathlib import Path

from wattline.registry.archive.faults import UnfitError

ONNX_FIRST = b"\x08"
"""Tag of a graph's first field, its format version. No pickle, zip, gzip or tar begins so."""
LARGEST_HEADER = 100 * 1000**2
"""Of a safetensors file [bytes], as its own library demands."""
PRIVATE = b"PRIVATE KEY-----"


def check(folder: Path, name: str) -> None:
    """Raise UnfitError unless `name` below `folder` is what its suffix says, and no private key is in its text."""
    path = folder / name
    if path.suffix == ".onnx":
        fits = _first(path, 1) == ONNX_FIRST
    elif path.suffix == ".safetensors":
        fits = _is_safetensors(path)
    else:
        content = path.read_bytes()
        if PRIVATE in content:
            raise UnfitError(f"{name} holds a private key")
        fits = _is_json(content) if path.suffix == ".json" else _is_text(content)
    if not fits:
        raise UnfitError(f"{name} is by its content no {path.suffix.removeprefix('.')}")


def _first(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)


def _is_safetensors(path: Path) -> bool:
    """Eight bytes of length, then that many of JSON: https://github.com/huggingface/safetensors#format"""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > min(LARGEST_HEADER, path.stat().st_size - 8):
            return False
        header = stream.read(length)
    return header.startswith(b"{") and _is_json(header)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except ValueError:
        return False
