"""The ONNX graph as bytes that mean the same everywhere, and the signature that says how to call it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wattline.errors import InputError
from wattline.records import Column, Description, Signature, Tensor
from wattline.task import Trained

if TYPE_CHECKING:
    import onnx

OPSET = 20
"""One opset for every export: a newer exporter must not change what is deployed."""


def canonical(graph: bytes) -> bytes:
    """Strip what an exporter adds about its own machine (source paths, stack traces, its version).

    Raises InputError when the graph is not valid ONNX or has another opset than OPSET.
    """
    model = _load(graph)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("") != OPSET:
        raise InputError(f"the exported graph has opset {versions.get('')}, Wattline fixes {OPSET}; export with that")
    _strip(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _strip(model: "onnx.ModelProto") -> None:
    model.producer_name = model.producer_version = ""
    model.graph.name = "wattline"
    _strip_texts(model)


def _strip_texts(message: Any) -> None:
    """Clear documentation and metadata of a part of the model and of all its parts: branches, functions, attributes."""
    for field in ("doc_string", "metadata_props"):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip_texts(part)


def signature(
    trained: Trained,
    description: Description,
    *,
    columns: Sequence[Column],
    units: Sequence[str],
    cadence_seconds: float,
) -> Signature:
    """Read inputs and outputs off the graph. Raises InputError when they are not those of the contract."""
    graph = _load(trained.graph).graph
    inputs = {value.name: _shape(value) for value in graph.input}
    if list(inputs) != ["window", "unit"] or [len(shape) for shape in inputs.values()] != [3, 1]:
        raise InputError(f"the graph's inputs must be window (batch, steps, columns) and unit (batch,), got {inputs}")
    if not all(isinstance(shape[0], str) for shape in inputs.values()):
        raise InputError(
            f"the first dimension of window and unit must be free, got {inputs}; export with dynamic shapes"
        )
    if inputs["window"][1:] != (trained.steps, len(columns)):
        raise InputError(f"window must be (batch, {trained.steps}, {len(columns)}), the graph has {inputs['window']}")
    outputs = {value.name: _shape(value) for value in graph.output}
    if "score" not in outputs:
        raise InputError(f"the graph must have an output `score`, it has {', '.join(outputs)}")
    return Signature(
        task=description.name,
        steps=trained.steps,
        cadence_seconds=cadence_seconds,
        columns=tuple(columns),
        units=tuple(units),
        inputs=(
            Tensor(
                name="window",
                dtype="float32",
                shape=("batch", trained.steps, len(columns)),
                unit="as in columns",
                description="the latest rows, oldest first; NaN where a sample is missing",
            ),
            Tensor(
                name="unit", dtype="int64", shape=("batch",), unit="1", description="place in units; -1 for another"
            ),
        ),
        outputs=tuple(_output(name, shape, trained.output_units) for name, shape in outputs.items()),
    )


def _load(graph: bytes) -> "onnx.ModelProto":
    import onnx

    try:
        model = onnx.load_from_string(graph)
        onnx.checker.check_model(model)
    except Exception as error:  # those of protobuf and of ONNX have no common base class
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the exported graph is not valid ONNX: {reason}; look at how the task exports it") from None
    return model


def _shape(value: "onnx.ValueInfoProto") -> tuple[int | str, ...]:
    """Dimensions; one that has neither size nor name is free."""
    dimensions = value.type.tensor_type.shape.dim
    return tuple(
        int(dimension.dim_value) if dimension.HasField("dim_value") else dimension.dim_param or "batch"
        for dimension in dimensions
    )


def _output(name: str, shape: tuple[int | str, ...], units: Mapping[str, str]) -> Tensor:
    if name not in units:
        raise InputError(f"the task names no unit for the graph's output {name!r}; add it to Trained.output_units")
    return Tensor(name=name, dtype="float32", shape=("batch", *shape[1:]), unit=units[name], description=name)


def largest_difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> float:
    """Largest |left - right| / max(1, |right|) over all outputs: absolute near zero, relative for large values.

    Raises InputError when the two do not have the same outputs.
    """
    if left.keys() != right.keys():
        raise InputError(
            f"the graph answers {', '.join(sorted(left))} and the trained model {', '.join(sorted(right))}; "
            "Trained.reference must give every output of the graph"
        )
    with np.errstate(invalid="ignore"):  # what is not finite becomes NaN, which is within no tolerance
        differences = [
            np.abs(np.asarray(left[name], np.float64) - right[name]) / np.maximum(1.0, np.abs(right[name]))
            for name in right
        ]
    return float(max(difference.max() for difference in differences))
