"""The JSON part of an inference request: all of it is checked before a byte of its tensors is converted."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, NoReturn

from wattline.records import Signature, Tensor
from wattline.serving.protocol.cut import PLACEHOLDER
from wattline.serving.protocol.jsontext import kind, load, shown
from wattline.serving.refusal import RefusedError

DATATYPES = {"float32": "FP32", "int64": "INT64"}
ACCEPTED = {"float32": ("FP32",), "int64": ("INT64", "BYTES")}
"""Datatypes of an input; BYTES are names."""
ITEM_BYTES = {"FP32": 4, "INT64": 8, "BYTES": 4}
"""Of one value at least: a string is its length and then its bytes."""
LONGEST_ID = 1024
OF_SEQUENCES = ("sequence_id", "sequence_start", "sequence_end")
OF_SHARED_MEMORY = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")
UNSUPPORTED = frozenset(("classification", *OF_SEQUENCES, *OF_SHARED_MEMORY))
"""Parameters that change what is computed or where it goes. Others are hints, and without effect."""
CUT: list[Any] = []
"""In place of values that were taken out of the text."""
TENSOR_NAME = re.compile(r'"name"\s*:\s*"([^"\\]{1,100})"')


class Output(NamedTuple):
    """One output that is wanted. `binary`: as bytes behind the JSON, not as numbers in it."""

    name: str
    binary: bool


class Part(NamedTuple):
    """Where the values of one input are: in the list `data`, or `size` bytes from `start` on, behind the JSON.

    data: CUT where the list was taken out of the text before
    """

    name: str
    datatype: str
    data: list[Any] | None
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the JSON part says.

    count: windows
    binary_bytes: length of what must follow the JSON
    """

    id: str | None
    count: int
    window: Part
    unit: Part
    outputs: tuple[Output, ...]
    binary_bytes: int


def read(text: bytes, signature: Signature, *, maximum_windows: int, binary: bool, placeholder: bool = False) -> Header:
    """Read and check `text`. Raises RefusedError 400 naming the field.

    binary: whether tensors may follow the JSON
    placeholder: whether PLACEHOLDER may stand for the values of an input
    """
    content = load(text, what="the body", place=_tensor_before, remedy="send missing samples as binary data")
    if type(content) is not dict:
        refuse(f"the body must be a JSON object with inputs, got {kind(content)}")
    given = content.get("id")
    if given is not None and (type(given) is not str or len(given) > LONGEST_ID):
        refuse(f"id must be a string of at most {LONGEST_ID} characters, got {kind(given)}")
    flag = _flag(_parameters(content, "the request"), "binary_data_output", "the request", default=False)
    outputs = _outputs(content.get("outputs"), [tensor.name for tensor in signature.outputs], binary=flag)
    parts, shapes = _inputs(content.get("inputs"), signature, binary=binary, placeholder=placeholder)
    window, unit = sorted(parts, key=lambda name: parts[name].datatype != "FP32")
    count = _count(shapes[window], signature, name=window, maximum=maximum_windows)
    if shapes[unit] != [count]:
        refuse(f"shape of {unit} must be [{count}], one for each window, got {_sizes(shapes[unit])}")
    for name, part in parts.items():
        _check_size(part, shapes[name])
    return Header(given, count, parts[window], parts[unit], outputs, sum(part.size for part in parts.values()))


def refuse(message: str) -> NoReturn:
    """Raise RefusedError 400."""
    raise RefusedError(message)


def _tensor_before(text: str) -> str:
    """Name, and place in its data, of the tensor that `text` ends in."""
    name = TENSOR_NAME.match(text, max(0, text.rfind('"name"')))
    data = text.rfind('"data"')
    return (name.group(1) if name else "a tensor") + (f"[{text.count(',', data)}]" if data >= 0 else "")


def _parameters(holder: dict[str, Any], place: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        refuse(f"parameters of {place} must be an object, got {kind(parameters)}")
    for name in sorted(UNSUPPORTED.intersection(parameters)):
        refuse(f"parameter {name} of {place} is not supported by this server; leave it out")
    return parameters


def _flag(parameters: dict[str, Any], name: str, place: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        refuse(f"parameter {name} of {place} must be true or false, got {kind(value)}")
    return value


def _outputs(wanted: Any, known: Collection[str], *, binary: bool) -> tuple[Output, ...]:
    if wanted is None or wanted == []:
        return tuple(Output(name, binary) for name in known)
    if type(wanted) is not list:
        refuse(f"outputs must be a list of objects, got {kind(wanted)}")
    found: dict[str, Output] = {}
    for at, entry in enumerate(wanted):
        name = _name(entry, known, found, place=f"outputs[{at}]", what="output")
        place = f"output {name}"
        found[name] = Output(name, _flag(_parameters(entry, place), "binary_data", place, default=binary))
    return tuple(found.values())


def _name(entry: Any, known: Collection[str], found: Collection[str], *, place: str, what: str) -> str:
    if type(entry) is not dict:
        refuse(f"{place} must be an object with a name, got {kind(entry)}")
    name = entry.get("name")
    if type(name) is not str:
        refuse(f"{place}.name must be a string, got {kind(name)}")
    if name not in known:
        refuse(f"{place} is {shown(name)!r}, which is no {what} of this model; it has {', '.join(known)}")
    if name in found:
        refuse(f"{what} {name} is given twice")
    return name


def _inputs(
    entries: Any, signature: Signature, *, binary: bool, placeholder: bool
) -> tuple[dict[str, Part], dict[str, list[int]]]:
    known = {tensor.name: tensor for tensor in signature.inputs}
    if type(entries) is not list or not entries:
        refuse(f"inputs must be a list with {' and '.join(known)}, got {kind(entries)}")
    parts: dict[str, Part] = {}
    shapes: dict[str, list[int]] = {}
    start = 0
    for at, entry in enumerate(entries):
        name = _name(entry, known, parts, place=f"inputs[{at}]", what="input")
        shape = shapes[name] = entry.get("shape")
        if type(shape) is not list or not set(map(type, shape)) <= {int}:
            refuse(f"shape of {name} must be a list of whole numbers, got {_sizes(shape)}")
        part = parts[name] = _part(entry, known[name], start, binary=binary, placeholder=placeholder)
        start += part.size
    for name in known:
        if name not in parts:
            refuse(f"inputs lack {name}")
    return parts, shapes


def _part(entry: dict[str, Any], tensor: Tensor, start: int, *, binary: bool, placeholder: bool) -> Part:
    name, datatype, data = tensor.name, entry.get("datatype"), entry.get("data")
    if type(datatype) is not str or datatype not in ACCEPTED[tensor.dtype]:
        refuse(f"datatype of {name} must be {' or '.join(ACCEPTED[tensor.dtype])}, got {kind(datatype)}")
    size = _parameters(entry, f"input {name}").get("binary_data_size")
    if size is None:
        if placeholder and data == PLACEHOLDER and datatype == "FP32":
            return Part(name, datatype, CUT, start, 0)
        if type(data) is not list:
            refuse(f"{name} must have data, a list, or parameters.binary_data_size; its data is {kind(data)}")
        return Part(name, datatype, data, start, 0)
    if data is not None:
        refuse(f"{name} has both data and parameters.binary_data_size; send one of them")
    if type(size) is not int or size < 0:
        refuse(f"binary_data_size of {name} must be a number of bytes, got {kind(size)}")
    if not binary:
        refuse(f"{name} has binary_data_size, but there is no header Inference-Header-Content-Length")
    return Part(name, datatype, None, start, size)


def _count(shape: list[int], signature: Signature, *, name: str, maximum: int) -> int:
    steps, columns = signature.steps, len(signature.columns)
    if len(shape) != 3 or shape[1:] != [steps, columns] or shape[0] < 1:
        refuse(f"shape of {name} must be [windows, {steps}, {columns}] (windows, steps, columns), got {_sizes(shape)}")
    if shape[0] > maximum:
        refuse(f"{name} holds {shape[0]} windows, a request may hold {maximum}; send several requests")
    return shape[0]


def _sizes(shape: Any) -> str:
    return f"[{', '.join(map(kind, shape))}]" if type(shape) is list and len(shape) < 8 else kind(shape)


def _check_size(part: Part, shape: list[int]) -> None:
    """Raise RefusedError unless as many values are announced as `shape` says.

    Inner lists are counted later, and so is what was cut out.
    """
    values = prod(shape)
    if part.data is CUT:
        return
    if part.data is not None:
        nested = len(shape) > 1 and part.data and type(part.data[0]) is list
        wanted = shape[0] if nested else values
        if len(part.data) != wanted:
            refuse(f"data of {part.name} must hold {wanted} {'lists' if nested else 'values'}, got {len(part.data)}")
        return
    least = values * ITEM_BYTES[part.datatype]
    if part.size != least and not (part.datatype == "BYTES" and part.size > least):
        refuse(f"binary_data_size of {part.name} must be {least}, as its shape says, got {part.size}")
