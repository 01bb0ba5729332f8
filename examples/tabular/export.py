"""The forecaster as one ONNX graph: deviations before, and the node's usual power after, what skl2onnx converts."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tabular.columns import POWER
from tabular.deviations import Deviations
from tabular.fitting import Forecaster

if TYPE_CHECKING:
    import onnx

OPSETS = {"": 20, "ai.onnx.ml": 3}
IR_VERSION = 10


def to_onnx(forecaster: Forecaster, *, steps: int, columns: int) -> bytes:
    """Serialize `forecaster` with a free batch dimension: inputs window and unit, output score [W]."""
    from onnx import checker, compose
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    width = steps * columns
    regression = convert_sklearn(
        forecaster.pipeline,
        name="regression",
        initial_types=[("features", FloatTensorType([None, width]))],
        final_types=[("change", FloatTensorType([None, 1]))],
        target_opset=OPSETS,
    )
    # skl2onnx declares the oldest opset that its nodes were defined in, and models are merged at equal ones only.
    del regression.opset_import[:]
    regression.opset_import.extend(_opsets())
    regression.ir_version = IR_VERSION
    before = _before(forecaster.deviations, steps=steps, columns=columns)
    model = compose.merge_models(before, regression, io_map=[("features", "features")])
    model = compose.merge_models(model, _after(), io_map=[("change", "change"), ("usual_power", "usual_power")])
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _before(deviations: Deviations, *, steps: int, columns: int) -> "onnx.ModelProto":
    """window (batch, steps, columns), unit (batch,) -> features (batch, steps * columns), usual_power (batch,)."""
    from onnx import TensorProto, helper

    constants: dict[str, ArrayLike] = {
        "center": deviations.center,
        "scale": deviations.scale,
        "usual": deviations.center[:, POWER],
        "first": np.int64(0),
        "unknown": np.int64(deviations.unknown),
        "time": np.array([1]),
        "lowest": np.float32(-deviations.largest),
        "highest": np.float32(deviations.largest),
        "none": np.float32(0),
        "rows": np.array([-1, steps * columns]),
    }
    make = helper.make_node
    nodes = [
        make("GreaterOrEqual", ["unit", "first"], ["above"]),
        make("Less", ["unit", "unknown"], ["below"]),
        make("And", ["above", "below"], ["known"]),
        make("Where", ["known", "unit", "unknown"], ["place"]),
        make("Gather", ["usual", "place"], ["usual_power"]),
        make("Gather", ["center", "place"], ["unit_center"]),
        make("Unsqueeze", ["unit_center", "time"], ["window_center"]),
        make("Sub", ["window", "window_center"], ["difference"]),
        make("Div", ["difference", "scale"], ["deviation"]),
        make("Clip", ["deviation", "lowest", "highest"], ["bounded"]),
        make("IsNaN", ["window"], ["missing"]),
        make("Where", ["missing", "none", "bounded"], ["present"]),
        make("Reshape", ["present", "rows"], ["features"]),
    ]
    window = helper.make_tensor_value_info("window", TensorProto.FLOAT, ["batch", steps, columns])
    unit = helper.make_tensor_value_info("unit", TensorProto.INT64, ["batch"])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", steps * columns])
    return _model("before", nodes, [window, unit], outputs=[features, _vector("usual_power")], constants=constants)


def _after() -> "onnx.ModelProto":
    """change (batch, 1), usual_power (batch,) -> score (batch,)."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Squeeze", ["change", "last"], ["watts"]),
        helper.make_node("Add", ["usual_power", "watts"], ["score"]),
    ]
    change = helper.make_tensor_value_info("change", TensorProto.FLOAT, ["batch", 1])
    inputs = [change, _vector("usual_power")]
    return _model("after", nodes, inputs, outputs=[_vector("score")], constants={"last": np.array([1])})


def _vector(name: str) -> "onnx.ValueInfoProto":
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"])


def _model(
    name: str,
    nodes: "list[onnx.NodeProto]",
    inputs: "list[onnx.ValueInfoProto]",
    *,
    outputs: "list[onnx.ValueInfoProto]",
    constants: dict[str, ArrayLike],
) -> "onnx.ModelProto":
    from onnx import helper, numpy_helper

    tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializer=tensors)
    return helper.make_model(graph, opset_imports=_opsets(), ir_version=IR_VERSION)


def _opsets() -> "list[onnx.OperatorSetIdProto]":
    from onnx import helper

    return [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
