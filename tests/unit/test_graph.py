"""graph: the same trained model gives the same bytes on every machine, and a graph that breaks the contract is told."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from builders import COLUMNS, STEPS, UNITS, scorer
from onnx import TensorProto, helper

from wattline.errors import InputError
from wattline.graph import OPSET, canonical, largest_difference, signature
from wattline.records import Description, Metric
from wattline.task import Trained

PATH = "/home/somebody/project/model.py"


def description() -> Description:
    metric = Metric(name="f1", unit="1", higher_is_better=True, description="F1")
    return Description(
        name="anomaly",
        purpose="p",
        intended_use="i",
        out_of_scope="o",
        limits="l",
        output="score",
        output_unit="1",
        metrics=(metric,),
    )


def branching() -> onnx.ModelProto:
    """A graph with a branch inside a node, and a local function."""
    branches = {
        name: helper.make_graph(
            [helper.make_node("Identity", ["x"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"])],
        )
        for name in ("then", "else")
    }
    nodes = [
        helper.make_node("If", ["which"], ["y"], then_branch=branches["then"], else_branch=branches["else"]),
        helper.make_node("twice", ["y"], ["score"], domain="local"),
    ]
    function = helper.make_function(
        "local", "twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", OPSET)]
    )
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch"]),
        helper.make_tensor_value_info("which", TensorProto.BOOL, []),
    ]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])]
    graph = helper.make_graph(nodes, "branching", inputs, outputs)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=10)


def annotate(message: Any, text: str) -> None:
    """Write `text` wherever an exporter may leave a trace: every documentation and every metadata of every part."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None and descriptor.name != "metadata_props":
            for part in [value] if hasattr(value, "ListFields") else value:
                annotate(part, text)
    names = message.DESCRIPTOR.fields_by_name
    if "doc_string" in names:
        message.doc_string = text
    if "metadata_props" in names:
        message.metadata_props.add(key="stack_trace", value=text)


def traced(model: onnx.ModelProto, text: str = PATH) -> bytes:
    """`model` as another exporter on another machine would write it."""
    annotate(model, text)
    model.producer_name, model.producer_version = text, "9"
    model.graph.name = text
    content: bytes = model.SerializeToString()
    return content


class TestCanonical:
    @pytest.mark.parametrize("make", [scorer, branching])
    def test_no_trace_of_the_exporting_machine_is_left(self, make):
        content = traced(make())
        assert PATH.encode() in content
        assert PATH.encode() not in canonical(content)

    @pytest.mark.parametrize("make", [scorer, branching])
    def test_exports_from_two_machines_are_equal_bytes(self, make):
        assert canonical(traced(make(), "here")) == canonical(traced(make(), "there"))

    def test_it_changes_nothing_twice_and_no_meaning(self):
        once = canonical(traced(scorer()))
        assert canonical(once) == once
        before, after = scorer().graph, onnx.load_from_string(once).graph
        assert [node.op_type for node in after.node] == [node.op_type for node in before.node]
        assert list(after.initializer) == list(before.initializer)

    @pytest.mark.parametrize("opset", [OPSET - 1, OPSET + 1])
    def test_another_opset_is_refused(self, opset):
        model = scorer()
        model.opset_import[0].version = opset
        with pytest.raises(InputError, match=f"has opset {opset}, Wattline fixes {OPSET}"):
            canonical(model.SerializeToString())

    @pytest.mark.parametrize("content", [b"", b"no graph", b"\x00" * 100], ids=["empty", "text", "zeros"])
    def test_what_is_no_graph_is_refused_in_one_line(self, content):
        with pytest.raises(InputError, match="the exported graph is not valid ONNX: ") as caught:
            canonical(content)
        assert "\n" not in str(caught.value)

    def test_a_graph_with_an_unknown_operation_is_refused(self):
        model = scorer()
        model.graph.node[0].op_type = "Guess"
        with pytest.raises(InputError, match=r"not valid ONNX: .*Guess"):
            canonical(model.SerializeToString())


class TestSignature:
    def read(self, model: onnx.ModelProto, *, steps: int = STEPS, units: Mapping[str, str] | None = None):
        trained = Trained(
            model="mean-abs",
            graph=model.SerializeToString(),
            steps=steps,
            tensors={},
            reference=lambda *_: {},
            output_units=units or {"score": "1", "threshold": "1", "contribution": "W"},
        )
        return signature(trained, description(), columns=COLUMNS, units=UNITS, cadence_seconds=60)

    def test_it_says_how_to_call_the_graph(self):
        found = self.read(scorer())
        assert (found.task, found.steps, found.columns, found.units) == ("anomaly", STEPS, COLUMNS, UNITS)
        assert [(one.name, one.dtype, one.shape) for one in found.inputs] == [
            ("window", "float32", ("batch", STEPS, len(COLUMNS))),
            ("unit", "int64", ("batch",)),
        ]
        assert [(one.name, one.shape, one.unit) for one in found.outputs] == [
            ("score", ("batch",), "1"),
            ("threshold", ("batch",), "1"),
            ("contribution", ("batch", len(COLUMNS)), "W"),
        ]

    @pytest.mark.parametrize("name", ["window", "unit"])
    def test_other_inputs_are_refused(self, name):
        with pytest.raises(InputError, match=r"inputs must be window .* and unit"):
            self.read(scorer(rename={name: "x"}))

    def test_other_steps_are_refused(self):
        with pytest.raises(InputError, match=rf"window must be \(batch, {STEPS + 1}, 3\), the graph has .*{STEPS}"):
            self.read(scorer(), steps=STEPS + 1)

    def test_other_columns_are_refused(self):
        with pytest.raises(InputError, match=r"window must be \(batch, 4, 3\), the graph has .* 2\)"):
            self.read(scorer(COLUMNS[:2]))

    @pytest.mark.parametrize("place", [0, 1])
    def test_a_graph_for_one_batch_size_only_is_refused(self, place):
        model = scorer()
        model.graph.input[place].type.tensor_type.shape.dim[0].dim_value = 2
        with pytest.raises(InputError, match="first dimension of window and unit must be free"):
            self.read(model)

    def test_a_graph_without_a_score_is_refused(self):
        with pytest.raises(InputError, match="must have an output `score`, it has risk"):
            self.read(scorer(rename={"score": "risk"}))

    def test_an_output_without_a_unit_is_refused(self):
        with pytest.raises(InputError, match="names no unit for the graph's output 'threshold'"):
            self.read(scorer(), units={"score": "1", "contribution": "1"})


class TestLargestDifference:
    def test_it_is_absolute_near_zero_and_relative_for_large_values(self):
        assert largest_difference({"a": [0.5]}, {"a": np.array([0.25])}) == 0.25
        assert largest_difference({"a": [1010.0]}, {"a": np.array([1000.0])}) == pytest.approx(0.01)

    def test_the_worst_output_counts(self):
        left = {"a": np.zeros(3), "b": np.array([0, 0.5, 0])}
        assert largest_difference(left, {"a": np.zeros(3), "b": np.zeros(3)}) == 0.5

    @pytest.mark.parametrize("wrong", [np.nan, np.inf])
    def test_what_is_not_finite_is_never_within_a_tolerance(self, wrong):
        assert not largest_difference({"a": [wrong]}, {"a": np.array([1.0])}) <= 1e-5
        assert not largest_difference({"a": [1.0]}, {"a": np.array([wrong])}) <= 1e-5

    @pytest.mark.parametrize("names", [("a",), ("a", "b", "c"), ()])
    def test_an_output_that_only_one_of_them_has_is_an_error(self, names):
        with pytest.raises(InputError, match="answers a, b and the trained model"):
            largest_difference({"a": [0], "b": [0]}, {name: np.zeros(1) for name in names})
