"""One ONNX graph, run the same way wherever it is asked: evaluation, measurement and server."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.records import Candidate, Signature, Tensor
from wattline.task import FloatArray, Outputs, Series

GRAPH = "model.onnx"
SIGNATURE = "signature.json"
CANDIDATE = "candidate.json"
BATCH = 64
"""What fits into a core's cache: larger batches are slower for each window."""
DTYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}


class Engine:
    """A loaded graph. It may be called from several threads at once.

    signature: how the graph is called
    """

    signature: Signature

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Load the candidate in `folder` after comparing its bytes with candidate.json.

        Raises IntegrityError when bytes differ, InputError when a file is missing or the graph breaks its signature.
        """
        candidate = files.read_record(folder / CANDIDATE, Candidate)
        contents = _verified(folder, candidate)
        self._candidate: Candidate | None = candidate
        self.signature = files.read_record(folder / SIGNATURE, Signature)
        self._session = _session(contents[GRAPH], self.signature, place=str(folder / GRAPH), threads=threads)

    @classmethod
    def of(cls, graph: Path, signature: Signature, *, threads: int = 1) -> Self:
        """Load a graph that is no candidate yet, so there is no record to hold its bytes against."""
        engine = cls.__new__(cls)
        engine._candidate = None
        engine.signature = signature
        engine._session = _session(graph.read_bytes(), signature, place=str(graph), threads=threads)
        return engine

    @property
    def candidate(self) -> Candidate:
        """The record of the loaded files. Raises InputError for a graph that was loaded without one."""
        if self._candidate is None:
            raise InputError("this graph was loaded by Engine.of, without candidate.json; load its folder instead")
        return self._candidate

    def run(self, windows: FloatArray, units: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Answer `windows`.

        windows: (batch, steps, columns) in raw units and in the signature's column order, NaN where missing
        units: (batch,) places in `signature.units`; any other number is an unknown unit
        returns: output name -> array whose first axis is the batch
        """
        expected = (len(units), self.signature.steps, len(self.signature.columns))
        if windows.shape != expected:
            raise InputError(f"window must have shape {expected} (batch, steps, columns), got {windows.shape}")
        names = [tensor.name for tensor in self.signature.outputs]
        feed = {"window": np.ascontiguousarray(windows, np.float32), "unit": np.asarray(units, np.int64)}
        return dict(zip(names, self._session.run(names, feed), strict=True))

    def predict(self, series: Series, *, columns: Sequence[str] | None = None, batch: int = BATCH) -> Outputs:
        """Answer the judged rows of one unit, `batch` windows at a time.

        columns: names of the last axis of `series.values`; None: they are those of the signature, in its order
        returns: output name -> array of len(series) rows
        """
        selected = self._select(series.values, columns)
        if len(series) == 0:
            return {tensor.name: _no_rows(tensor) for tensor in self.signature.outputs}
        windows = Series(series.unit, series.group, series.timestamps, selected, series.target, series.history).windows(
            self.signature.steps
        )
        units = np.full(len(series), self.signature.index(series.unit), dtype=np.int64)
        parts = [self.run(windows[at : at + batch], units[at : at + batch]) for at in range(0, len(series), batch)]
        return {tensor.name: np.concatenate([part[tensor.name] for part in parts]) for tensor in self.signature.outputs}

    def _select(self, values: FloatArray, columns: Sequence[str] | None) -> FloatArray:
        wanted = [column.name for column in self.signature.columns]
        present = wanted if columns is None else list(columns)
        if values.shape[1] != len(present):
            raise InputError(f"a series of {values.shape[1]} columns was given with {len(present)} column names")
        if present == wanted:
            return values
        return values[:, self.places(present)]

    def places(self, columns: Sequence[str]) -> list[int]:
        """Where the signature's columns stand among `columns`. Raises InputError naming the first that does not."""
        wanted = [column.name for column in self.signature.columns]
        absent = [name for name in wanted if name not in columns]
        if absent:
            raise InputError(f"the model needs column {absent[0]!r}, which the rows do not have; retrain or add it")
        return [columns.index(name) for name in wanted]


def _verified(folder: Path, candidate: Candidate) -> dict[str, bytes]:
    """Contents of the files that get loaded, equal to their record; other recorded files are checked where present."""
    absent = [name for name in (GRAPH, SIGNATURE) if name not in candidate.files]
    if absent:
        raise IntegrityError(f"{folder / CANDIDATE} records no digest of {absent[0]}; run `dvc repro` to make it anew")
    contents = {}
    for name, expected in candidate.files.items():
        path = folder / name
        if name in (GRAPH, SIGNATURE) and not path.is_file():
            raise InputError(f"{path} is missing; run `dvc repro`, or `wattline champion` for the champion")
        if not path.is_file():
            continue
        contents[name] = path.read_bytes()
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != expected:
            raise IntegrityError(
                f"{path} has SHA-256 {found[:12]}, its record says {expected[:12]}; "
                "run `dvc repro`, or `wattline champion` for the champion"
            )
    return contents


def _session(content: bytes, signature: Signature, *, place: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise InputError(f"{place} cannot be loaded by ONNX Runtime: {' '.join(str(error).split())[:200]}") from None
    _check(session.get_inputs(), signature.inputs, what="input", place=place)
    _check(session.get_outputs(), signature.outputs, what="output", place=place)
    _check_contract(signature, place=place)
    return session


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


def _no_rows(tensor: Tensor) -> NDArray[Any]:
    rest = [size if isinstance(size, int) else 0 for size in tensor.shape[1:]]
    return np.zeros((0, *rest), dtype=tensor.dtype)
