"""A session of ONNX Runtime, opened from bytes and held against the signature of its graph."""

from collections.abc import Sequence
from typing import Any

import onnxruntime

from wattline.errors import InputError
from wattline.records import Signature, Tensor
from wattline.serving.inference import external

DTYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}
CUDA = "CUDAExecutionProvider"
PROVIDERS: dict[str, list[Any]] = {
    "cpu": ["CPUExecutionProvider"],
    # TF32 would cost three digits, and a search for the fastest convolution may find another one at every start.
    "cuda": [(CUDA, {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"})],
}
CONFIGURATION = {
    # A thread that spins for work burns energy while it finds none.
    "session.intra_op.allow_spinning": "0",
    "session.inter_op.allow_spinning": "0",
    # Not the other format that ONNX Runtime would detect: what was checked here is ONNX.
    "session.load_model_format": "ONNX",
}
SILENT = 4
"""Severity of what ONNX Runtime prints: nothing but what ends the process. Errors reach us as exceptions."""


def open_session(
    graph: bytes, signature: Signature, *, place: str, threads: int, device: str
) -> onnxruntime.InferenceSession:
    """Load `graph`.

    place: what messages call it
    device: "cpu" or "cuda"; there is no falling back from one to the other
    Raises InputError when the graph cannot be loaded, is not all in its own bytes, or breaks `signature`.
    """
    _check_device(device)
    external.check(graph, place=place)
    try:
        session = onnxruntime.InferenceSession(
            graph, _options(threads), providers=PROVIDERS[device], enable_fallback=False
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise InputError(f"{place} cannot be loaded by ONNX Runtime: {' '.join(str(error).split())[:200]}") from None
    if device == "cuda" and CUDA not in session.get_providers():
        raise _no_cuda("its libraries could not be loaded")
    _check(session.get_inputs(), signature.inputs, what="input", place=place)
    _check(session.get_outputs(), signature.outputs, what="output", place=place)
    _check_contract(signature, place=place)
    return session


def run_options() -> onnxruntime.RunOptions:
    """Options of one run; setting `terminate` on them, from any thread, ends it."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = SILENT
    return options


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = SILENT
    for name, value in CONFIGURATION.items():
        options.add_session_config_entry(name, value)
    return options


def _check_device(device: str) -> None:
    if device not in PROVIDERS:
        raise InputError(f"serving.batching.device must be one of {', '.join(PROVIDERS)}, got {device!r}")
    if device == "cuda" and CUDA not in onnxruntime.get_available_providers():
        raise _no_cuda("this onnxruntime was built without it")


def _no_cuda(reason: str) -> InputError:
    return InputError(
        f"serving.batching.device is cuda, but {reason}; install onnxruntime-gpu with its CUDA libraries, or set it to "
        "cpu"
    )


def _check(found: Sequence[Any], declared: Sequence[Tensor], *, what: str, place: str) -> None:
    """Compare the graph's values with the signature's tensors: names, dtypes, ranks and fixed dimensions."""
    in_graph = {value.name: value for value in found}
    in_signature = {tensor.name: tensor for tensor in declared}
    if in_graph.keys() != in_signature.keys():
        raise InputError(f"{place} has {what}s {sorted(in_graph)}, its signature says {sorted(in_signature)}")
    for name, tensor in in_signature.items():
        if in_graph[name].type != DTYPES[tensor.dtype]:
            raise InputError(f"{place}: {what} {name} is {in_graph[name].type}, its signature says {tensor.dtype}")
        shape = in_graph[name].shape
        pairs = zip(shape, tensor.shape, strict=False)
        clashes = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
        if len(shape) != len(tensor.shape) or clashes:
            raise InputError(f"{place}: {what} {name} has shape {shape}, its signature says {list(tensor.shape)}")


def _check_contract(signature: Signature, *, place: str) -> None:
    """Every graph is called alike: window and unit go in, score comes out."""
    shapes = {tensor.name: tensor.shape for tensor in signature.inputs}
    if shapes.keys() != {"window", "unit"} or shapes["window"][1:] != (signature.steps, len(signature.columns)):
        wanted = f"window (batch, {signature.steps}, {len(signature.columns)}) and unit (batch,)"
        raise InputError(f"{place}: the inputs must be {wanted}, its signature says {shapes}")
    if "score" not in {tensor.name for tensor in signature.outputs}:
        raise InputError(f"{place}: there must be an output `score`; name it so when exporting")
