"""A graph that keeps a tensor in another file is refused wherever it hides it; every other graph passes."""

import numpy as np
import onnx
import pytest
from builders import scorer
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from wattline.errors import InputError
from wattline.serving.inference import external


def outside(name: str = "weights") -> TensorProto:
    """A tensor that lies in another file."""
    tensor = numpy_helper.from_array(np.ones(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "/etc/passwd"), ("offset", "0"), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["constant"], value=tensor)


def subgraph(tensor: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([constant(tensor)], "inner", [], [])


def among_initializers(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(outside())


def in_an_attribute(model: onnx.ModelProto) -> None:
    model.graph.node.append(constant(outside()))


def in_a_list_of_tensors(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Any", [], ["out"], values=[outside("a"), outside("b")]))


def in_a_branch_of_a_branch(model: onnx.ModelProto) -> None:
    deeper = helper.make_node("If", ["x"], ["y"], then_branch=subgraph(outside()), else_branch=subgraph(outside()))
    middle = helper.make_graph([deeper], "middle", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=middle, else_branch=middle))


def in_a_list_of_graphs(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Any", [], ["out"], graphs=[subgraph(outside())]))


def in_a_function(model: onnx.ModelProto) -> None:
    imports = [helper.make_opsetid("", 20)]
    model.functions.append(helper.make_function("own", "F", [], ["constant"], [constant(outside())], imports))


def in_a_sparse_initializer(model: onnx.ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(outside())
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(4), "indices"))


def in_training_information(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.CopyFrom(subgraph(outside()))


def by_its_location_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def by_its_external_data_alone(model: onnx.ModelProto) -> None:
    tensor = outside()
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


HIDING_PLACES = (
    among_initializers,
    in_an_attribute,
    in_a_list_of_tensors,
    in_a_branch_of_a_branch,
    in_a_list_of_graphs,
    in_a_function,
    in_a_sparse_initializer,
    in_training_information,
    by_its_location_alone,
    by_its_external_data_alone,
)


@pytest.mark.parametrize("hide", HIDING_PLACES)
def test_a_tensor_in_another_file_is_found(hide):
    model = scorer()
    hide(model)
    with pytest.raises(InputError, match=r"model\.onnx keeps tensors in another file"):
        external.check(model.SerializeToString(), place="model.onnx")


def test_a_graph_with_all_of_its_tensors_inside_passes():
    model = scorer()
    inside = numpy_helper.from_array(np.ones(4, np.float32), "inside")
    model.graph.node.append(constant(inside))
    model.graph.node.append(
        helper.make_node("If", ["x"], ["y"], then_branch=subgraph(inside), else_branch=subgraph(inside))
    )
    model.graph.initializer[0].data_location = TensorProto.DEFAULT
    external.check(model.SerializeToString(), place="model.onnx")


def test_bytes_of_a_weight_that_look_like_a_reference_are_only_bytes():
    model = scorer()
    looks = outside().SerializeToString()
    model.graph.initializer.append(helper.make_tensor("bytes", TensorProto.UINT8, [len(looks)], looks, raw=True))
    external.check(model.SerializeToString(), place="model.onnx")


def test_nesting_is_followed_without_end():
    encoded = subgraph(outside()).SerializeToString()
    for _ in range(2000):  # protobuf itself gives up at 100 messages, and Python at 1000 calls
        attribute = _message(6, encoded)
        node = _message(5, attribute)
        encoded = _message(1, node)
    with pytest.raises(InputError, match="another file"):
        external.check(_message(7, encoded), place="model.onnx")


def _message(field: int, content: bytes) -> bytes:
    size, length = bytearray(), len(content)
    while length >= 0x80:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([field << 3 | 2, *size, length]) + content


@pytest.mark.parametrize(
    "content",
    [
        b"not a graph",
        b"\x3a",  # a field without its length
        b"\x3a\x05abc",  # shorter than its length
        b"\x3a" + b"\xff" * 11,  # a length that never ends
        b"\x0b\x0c",  # a group
        b"\x09abc",  # seven bytes short of a double
    ],
)
def test_what_is_no_protobuf_message_is_refused(content: bytes):
    with pytest.raises(InputError, match="it is no ONNX graph"):
        external.check(content, place="model.onnx")


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 2000))
def test_damage_is_refused_or_harmless_and_never_breaks_the_reader(noise: bytes, start: int, stop: int):
    graph = scorer().SerializeToString()
    damaged = graph[:start] + noise + graph[stop:]
    try:
        external.check(damaged, place="model.onnx")
    except InputError:
        return
