"""One ONNX graph, run the same way wherever it is asked: evaluation, measurement and server."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError, WattlineError
from wattline.records import Candidate, Signature, Tensor
from wattline.serving.inference import contents
from wattline.serving.inference.contents import GRAPH, Contents
from wattline.serving.inference.session import open_session, run_options
from wattline.task import FloatArray, Outputs, Series

if TYPE_CHECKING:
    import onnxruntime

BATCH = 64
"""What fits into a core's cache: larger batches are slower for each window."""


class GraphError(WattlineError):
    """A run of the graph failed."""


class StoppedError(GraphError):
    """A run of the graph was ended by somebody who set `terminate` on its options."""


class Engine:
    """A loaded graph. It may be called from several threads at once.

    signature: how the graph is called
    """

    signature: Signature
    _candidate: Candidate | None
    _session: "onnxruntime.InferenceSession"

    def __init__(self, folder: Path, *, threads: int = 1, device: str = "cpu") -> None:
        """Load the candidate in `folder` after comparing its bytes with candidate.json.

        Raises IntegrityError when bytes differ, InputError when a file is missing or the graph breaks its signature.
        """
        self._load(contents.read(folder), threads=threads, device=device)

    @classmethod
    def loaded(cls, verified: Contents, *, threads: int, device: str) -> Self:
        """Load a candidate whose files were read already. Raises InputError when the graph breaks its signature."""
        engine = cls.__new__(cls)
        engine._load(verified, threads=threads, device=device)
        return engine

    @classmethod
    def of(cls, graph: Path, signature: Signature, *, threads: int = 1) -> Self:
        """Load a graph that is no candidate yet, so there is no record to hold its bytes against."""
        engine = cls.__new__(cls)
        engine._open(graph.read_bytes(), signature, place=str(graph), threads=threads, device="cpu")
        return engine

    def _load(self, verified: Contents, *, threads: int, device: str) -> None:
        place = str(verified.folder / GRAPH)
        self._open(verified.files[GRAPH], verified.signature, place=place, threads=threads, device=device)
        self._candidate = verified.candidate

    def _open(self, graph: bytes, signature: Signature, *, place: str, threads: int, device: str) -> None:
        self.signature, self._candidate = signature, None
        self._names = [tensor.name for tensor in signature.outputs]
        self._shape = (signature.steps, len(signature.columns))
        self._session = open_session(graph, signature, place=place, threads=threads, device=device)

    @property
    def candidate(self) -> Candidate:
        """The record of the loaded files. Raises InputError for a graph that was loaded without one."""
        if self._candidate is None:
            raise InputError("this graph was loaded by Engine.of, without candidate.json; load its folder instead")
        return self._candidate

    def options(self) -> "onnxruntime.RunOptions":
        """Fresh options of one run; setting `terminate` on them, from any thread, ends it."""
        return run_options()

    def run(
        self, windows: FloatArray, units: NDArray[np.int64], *, options: "onnxruntime.RunOptions | None" = None
    ) -> dict[str, NDArray[Any]]:
        """Answer `windows`.

        windows: (batch, steps, columns) in raw units and in the signature's column order, NaN where missing
        units: (batch,) places in `signature.units`; any other number is an unknown unit
        returns: output name -> array whose first axis is the batch
        Raises InputError on another shape, StoppedError when `options.terminate` was set, GraphError when it fails.
        """
        expected = (len(units), *self._shape)
        if windows.shape != expected:
            raise InputError(f"window must have shape {expected} (batch, steps, columns), got {windows.shape}")
        feed = {"window": np.ascontiguousarray(windows, np.float32), "unit": np.asarray(units, np.int64)}
        try:
            return dict(zip(self._names, self._session.run(self._names, feed, options), strict=True))
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise _failure(error, stopped=options is not None and options.terminate) from None

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
        return places(self.signature, columns)


def places(signature: Signature, columns: Sequence[str]) -> list[int]:
    """Where the columns of `signature` stand among `columns`. Raises InputError naming the first that does not."""
    wanted = [column.name for column in signature.columns]
    absent = [name for name in wanted if name not in columns]
    if absent:
        raise InputError(f"the model needs column {absent[0]!r}, which the rows do not have; retrain or add it")
    return [columns.index(name) for name in wanted]


def _failure(error: Exception, *, stopped: bool) -> GraphError:
    if stopped:
        return StoppedError("the run of the graph was stopped, since nobody waits for its answer any more")
    reason = " ".join(str(error).split())[:200]
    return GraphError(f"the graph failed: {reason}; look at the window that it was asked with")


def _no_rows(tensor: Tensor) -> NDArray[Any]:
    rest = [size if isinstance(size, int) else 0 for size in tensor.shape[1:]]
    return np.zeros((0, *rest), dtype=tensor.dtype)
