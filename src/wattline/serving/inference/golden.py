"""A few real windows with the graph's answers: what a machine must reproduce before it may answer anybody."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field

from wattline.errors import IntegrityError
from wattline.records import Record, Signature
from wattline.serving.inference.contents import GOLDEN
from wattline.serving.inference.engine import Engine
from wattline.task import FloatArray, Split

TOLERANCE = 1e-4
"""Largest difference to the recorded answer, absolute or relative: other processors round otherwise."""

CHOICES = 100


class Golden(Record):
    """Windows and their answers; null is a missing value.

    windows: (batch, steps, columns) in raw units, in the signature's column order
    units: (batch,) places in the signature's units; -1 for an unknown one
    outputs: output name -> one answer for each window
    """

    windows: tuple[tuple[tuple[float | None, ...], ...], ...] = Field(min_length=1)
    units: tuple[int, ...]
    outputs: Mapping[str, tuple[Any, ...]]


def sample(validation: Split, signature: Signature) -> tuple[FloatArray, NDArray[np.int64]]:
    """Two raw windows: one of a known unit, and one of an unknown unit that lacks a value."""
    names = list(validation)
    first, last = (_most_complete(validation[name].windows(signature.steps)) for name in (names[0], names[-1]))
    windows = np.stack([first, last])
    windows[1, -1, 0] = np.nan
    return windows, np.array([signature.index(names[0]), -1], dtype=np.int64)


def make(engine: Engine, windows: FloatArray, units: NDArray[np.int64]) -> bytes:
    """The bytes of golden.json: equal windows and answers give equal bytes, each number in its shortest exact form."""
    asked = _json({"windows": np.ascontiguousarray(windows, np.float32), "units": units})
    # The answers are those to the windows as a reader will find them: JSON has no infinity.
    read_back = np.array(orjson.loads(asked)["windows"], dtype=np.float32)
    answers = {name: np.ascontiguousarray(values) for name, values in engine.run(read_back, units).items()}
    return _json({"windows": read_back, "units": units, "outputs": answers}) + b"\n"


def check(engine: Engine, golden: Golden) -> None:
    """Ask `engine` the golden windows. Raises IntegrityError naming the first answer that is not the recorded one."""
    try:
        windows = np.array(golden.windows, dtype=np.float32)
        units = np.array(golden.units, dtype=np.int64)
        recorded = {name: np.array(values, dtype=np.float64) for name, values in golden.outputs.items()}
    except (ValueError, TypeError, OverflowError):  # rows of different lengths, or what is no number of that size
        raise IntegrityError(f"{GOLDEN} holds windows or answers that are no arrays; run `dvc repro`") from None
    shape = (len(units), engine.signature.steps, len(engine.signature.columns))
    if windows.shape != shape:
        raise IntegrityError(
            f"{GOLDEN} holds windows of shape {windows.shape}, the signature says {shape}; run `dvc repro`"
        )
    found = engine.run(windows, units)
    if found.keys() != recorded.keys():
        raise IntegrityError(
            f"{GOLDEN} records answers {sorted(recorded)}, the graph gives {sorted(found)}; run `dvc repro`"
        )
    for name, expected in recorded.items():
        _compare(name, expected, np.asarray(found[name], np.float64))


def _most_complete(windows: FloatArray) -> FloatArray:
    """The first of at most CHOICES windows, spread over all, with the fewest missing values."""
    rows = np.linspace(0, len(windows) - 1, min(CHOICES, len(windows)), dtype=np.int64)
    row: FloatArray = windows[rows[np.isnan(windows[rows]).sum(axis=(1, 2)).argmin()]]
    return row


def _compare(name: str, expected: NDArray[np.float64], found: NDArray[np.float64]) -> None:
    if expected.shape != found.shape:
        raise IntegrityError(
            f"{GOLDEN} records {name} of shape {expected.shape}, the graph gives {found.shape}; run `dvc repro`"
        )
    both_undefined = np.isnan(expected) & ~np.isfinite(found)  # JSON has null for every number that is not finite
    agree = both_undefined | np.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    if not agree.all():
        first = tuple(int(place) for place in np.argwhere(~agree)[0])
        raise IntegrityError(
            f"{name}{list(first)} of the golden windows must be {expected[first]:.8g}, this machine computes "
            f"{found[first]:.8g}; use the ONNX Runtime that the model was trained with"
        )


def _json(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
