"""The Open Inference Protocol (KServe V2, REST): requests become windows, outputs become replies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

import wattline
from wattline.records import Signature, Tensor
from wattline.serving.protocol import cut
from wattline.serving.protocol.inference_header import CUT, DATATYPES, Header, Output, read, refuse
from wattline.serving.protocol.inference_values import units_of, windows_of
from wattline.serving.protocol.jsontext import kind
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

LEADING_ID = re.compile(rb'\{"id"\s*:\s*"([ !#-\[\]-~]{0,256})"\s*,')
LONGEST_REMEMBERED = 1024
REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Inference:
    """One request.

    id: the caller's name for it, which the reply repeats
    windows: (n, steps, columns) float32, read-only, NaN where a sample is missing
    units: (n,) int64, places in the signature's units; any other number is an unknown unit
    outputs: what is wanted, in this order
    """

    id: str | None
    windows: FloatArray
    units: NDArray[np.int64]
    outputs: tuple[Output, ...]


# Callers send the same header again and again, with another id. The signature is compared by identity: models change.
# A key is the text without a leading id, and whether one was taken off: what is left of it is no JSON by itself.
_remembered: dict[tuple[bool, bytes], tuple[Signature, int, Header]] = {}


def decode(body: bytes, *, header_length: str | None, signature: Signature, maximum_windows: int) -> Inference:
    """Read one request. Raises RefusedError 400 naming the field.

    header_length: value of Inference-Header-Content-Length: where the JSON ends and the tensors' bytes begin
    """
    if header_length is None:
        if quick := _cut(body, signature, maximum_windows):
            return quick
        text = body
        header = read(text, signature, maximum_windows=maximum_windows, binary=False)
        name = header.id
    else:
        text = body[: _length(header_length, body)]
        name, header = _header(text, signature, maximum_windows)
    raw = memoryview(body)[len(text) :]
    if len(raw) != header.binary_bytes:
        refuse(f"{header.binary_bytes} bytes of tensors must follow the JSON, as it says itself, got {len(raw)}")
    windows = windows_of(header, raw, signature, text=text)
    return Inference(name, windows, units_of(header, raw, signature), header.outputs)


def encode(
    inference: Inference,
    outputs: Mapping[str, NDArray[Any]],
    *,
    signature: Signature,
    model_name: str,
    model_version: str,
) -> tuple[bytes, int | None]:
    """The reply's body, and the length of its JSON where tensors' bytes follow it. What is not finite is null in JSON.

    outputs: at least those that `inference` wants, float32 or int64, each with the n windows on its first axis
    """
    described, raw = [], []
    dtypes = {tensor.name: tensor.dtype for tensor in signature.outputs}
    for name, binary in inference.outputs:
        if name not in dtypes:
            refuse(f"output {name} is not given by version {model_version} of this model")
        array = np.ascontiguousarray(outputs[name])
        entry: dict[str, Any] = {"name": name, "datatype": DATATYPES[dtypes[name]], "shape": array.shape}
        if binary:
            raw.append(array.tobytes())
            entry["parameters"] = {"binary_data_size": array.nbytes}
        else:
            entry["data"] = array.ravel()
        described.append(entry)
    content: dict[str, Any] = {"model_name": model_name, "model_version": model_version, "outputs": described}
    if inference.id is not None:
        content["id"] = inference.id
    text = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((text, *raw)), len(text)) if raw else (text, None)


def server_metadata() -> dict[str, Any]:
    """What this server is and which extensions of the protocol it speaks."""
    return {"name": "wattline", "version": wattline.__version__, "extensions": ["binary_tensor_data"]}


def model_metadata(signature: Signature, name: str, versions: Sequence[str]) -> dict[str, Any]:
    """How the model `name` is asked, and what it answers. A free dimension is -1."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": "onnxruntime_onnx",
        "inputs": [_described(tensor) for tensor in signature.inputs],
        "outputs": [_described(tensor) for tensor in signature.outputs],
    }


def _described(tensor: Tensor) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": shape}


def _length(header_length: str, body: bytes) -> int:
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 20):
        refuse(f"Inference-Header-Content-Length must be a number of bytes, got {kind(header_length)}")
    length = int(header_length)
    if length > len(body):
        refuse(f"Inference-Header-Content-Length is {length}, the body has {len(body)} bytes")
    return length


def _cut(body: bytes, signature: Signature, maximum_windows: int) -> Inference | None:
    """A request all in JSON whose window is a flat list; None for any other one, and for whatever is to be refused."""
    found = cut.numbers(body)
    if found is None:
        return None
    text, values = found
    try:
        name, header = _header(text, signature, maximum_windows, placeholder=True)
    except RefusedError:
        return None
    shape = (header.count, signature.steps, len(signature.columns))
    if header.window.data is not CUT or values.size != prod(shape):
        return None
    return Inference(name, values.reshape(shape), units_of(header, memoryview(b""), signature), header.outputs)


def _header(
    text: bytes, signature: Signature, maximum_windows: int, *, placeholder: bool = False
) -> tuple[str | None, Header]:
    """Id and header of a request. Headers that differ only in their id are read once."""
    name, rest = None, text
    if text.startswith(b'{"id"') and (leading := LEADING_ID.match(text)):
        name, rest = leading.group(1).decode(), text[leading.end() :]
    key = name is not None, rest
    remembered = _remembered.get(key)
    if remembered and remembered[0] is signature and remembered[1] == maximum_windows:
        return name, remembered[2]
    header = read(text, signature, maximum_windows=maximum_windows, binary=not placeholder, placeholder=placeholder)
    # Another id in the rest, however it is written, would count more than the leading one.
    if len(rest) <= LONGEST_REMEMBERED and header.id == name and b'"id"' not in rest and b"\\" not in rest:
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        _remembered[key] = signature, maximum_windows, header
    return header.id, header
