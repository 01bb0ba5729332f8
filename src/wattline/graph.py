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
    import onnx

    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("") != OPSET:
        raise InputError(f"the exported graph has opset {versions.get('')}, Wattline fixes {OPSET}; export with that")
    _strip(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _strip(model: "onnx.ModelProto") -> None:
    model.producer_name = model.producer_version = model.doc_string = ""
    del model.metadata_props[:]
    graph: Any = model.graph
    graph.name, graph.doc_string = "wattline", ""
    del graph.metadata_props[:]
    for entry in [*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        entry.doc_string = ""
        del entry.metadata_props[:]


def signature(
    trained: Trained,
    description: Description,
    *,
    columns: Sequence[Column],
    units: Sequence[str],
    cadence_seconds: float,
) -> Signature:
    """Read inputs and outputs off the graph. Raises InputError when they are not those of the contract."""
    import onnx

    graph = onnx.load_from_string(trained.graph).graph
    inputs = {value.name: _shape(value) for value in graph.input}
    if list(inputs) != ["window", "unit"] or len(inputs["window"]) != 3:
        raise InputError(f"the graph's inputs must be window (batch, steps, columns) and unit (batch,), got {inputs}")
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


def _shape(value: "onnx.ValueInfoProto") -> tuple[int | str, ...]:
    dimensions = value.type.tensor_type.shape.dim
    return tuple(dimension.dim_param or int(dimension.dim_value) for dimension in dimensions)


def _output(name: str, shape: tuple[int | str, ...], units: Mapping[str, str]) -> Tensor:
    if name not in units:
        raise InputError(f"the task names no unit for the graph's output {name!r}; add it to Trained.output_units")
    return Tensor(name=name, dtype="float32", shape=("batch", *shape[1:]), unit=units[name], description=name)


def largest_difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> float:
    """Largest |left - right| / max(1, |right|) over all outputs: absolute near zero, relative for large values."""
    differences = [
        np.abs(np.asarray(left[name], np.float64) - right[name]) / np.maximum(1.0, np.abs(right[name]))
        for name in right
    ]
    return float(max(difference.max() for difference in differences))
