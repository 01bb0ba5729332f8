"""An ONNX graph that needs nothing but itself: no other file, no library, no operator that is not ONNX's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Whose operators every runtime brings. Others come from libraries; EPContext of com.microsoft even names files."""
LARGEST = 2**31 - 1
"""Bytes of the largest message that protobuf reads."""
CONFIGURATION = "ort_config"
"""Key of the metadata with which a graph may configure ONNX Runtime."""


def fault(path: Path) -> str | None:
    """Why `path` is no graph that may be published, as the end of a sentence; None when it is one."""
    import onnx

    if path.stat().st_size > LARGEST:
        return f"is larger than {LARGEST} bytes, which no ONNX graph is"
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except Exception:  # those of protobuf have no common base class
        return "is no ONNX graph"
    if not model.ir_version or not model.opset_import or not model.graph.node:
        return "is no ONNX graph"
    return _surplus(model) or _operators(model) or _invalid(model)


def _surplus(model: "onnx.ModelProto") -> str | None:
    """Parts that a graph does not need to have: other files, another's settings, bytes that ONNX does not know."""
    size = model.ByteSize()
    model.DiscardUnknownFields()
    if model.ByteSize() != size:
        return "holds parts that ONNX does not know"
    if any(entry.key == CONFIGURATION for entry in model.metadata_props):
        return f"configures the runtime ({CONFIGURATION} in its metadata)"
    for tensor in _messages(model, "TensorProto"):
        if tensor.external_data or tensor.data_location:
            return f"keeps tensor {tensor.name!r} in another file"
    return None


def _operators(model: "onnx.ModelProto") -> str | None:
    own = {(function.domain, function.name) for function in model.functions}
    for node in _messages(model, "NodeProto"):
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            return f"uses operator {node.op_type!r} of domain {node.domain!r}, which is not ONNX's own"
    return None


def _invalid(model: "onnx.ModelProto") -> str | None:
    import onnx

    try:
        onnx.checker.check_model(model)
    except Exception as error:  # those of protobuf and of ONNX have no common base class
        return f"is no valid ONNX graph ({' '.join(str(error).split())[:150]})"
    return None


def _messages(message: Any, kind: str) -> Iterator[Any]:
    """Every message of `kind` in `message`: in branches, functions, attributes and training information, too."""
    pending = [message]
    while pending:
        current = pending.pop()
        if current.DESCRIPTOR.name == kind:
            yield current
        for descriptor, value in current.ListFields():
            if descriptor.message_type is not None:
                pending.extend([value] if hasattr(value, "ListFields") else value)
