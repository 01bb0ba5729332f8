"""The fixed requests of an energy test: rows of the test split, the same ones for every contender."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.records import Signature
from wattline.serving.inference.engine import places
from wattline.task import FloatArray, Outputs, Series, Split, Task

SHORTEST = 25
"""Rows in a stretch below which units are left out: on fewer, no metric says anything."""
DIGITS = 9
"""Digits in which variances are compared: beyond them they differ by rounding alone."""


def choose(test: Split, windows: int) -> dict[str, Series]:
    """One contiguous stretch of judged rows for each unit, about `windows` of them all together.

    Each is where the target varies most, the last such place. Where there are more units than stretches, the units in
    whose stretch it varies most are taken.
    returns: unit -> its rows up to the end of the stretch; all before it are history
    Raises InputError when there is nothing to ask about.
    """
    filled = {unit: series for unit, series in test.items() if len(series)}
    if not filled:
        raise InputError("the test split holds no rows, so that there is nothing to ask; run `dvc repro prepare`")
    stretches = min(len(filled), max(1, windows // SHORTEST))
    length = -(-windows // stretches)
    found = {unit: _most_varied(series, length) for unit, series in filled.items()}
    wanted = sorted(found, key=lambda unit: -found[unit][1])[:stretches]
    return {unit: _stretch(filled[unit], found[unit][0], length) for unit in filled if unit in wanted}


def sha256(requests: Split) -> str:
    """Digest of all that contenders could see of `requests`, and of what they are judged against."""
    digest = hashlib.sha256()
    for unit, series in requests.items():
        digest.update(f"{unit}:{series.history}:{series.values.shape}".encode())
        for array in (series.timestamps, series.target, series.values):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def windows_of(requests: Split, signature: Signature, columns: Sequence[str]) -> tuple[FloatArray, NDArray[np.int64]]:
    """What a model with this signature is asked.

    columns: of the last axis of the rows
    returns: (windows, steps, columns) float32 in the signature's column order, and (windows,) places in its units
    Raises InputError naming a column that the rows lack.
    """
    wanted = places(signature, columns)
    windows = [series.windows(signature.steps)[:, :, wanted] for series in requests.values()]
    units = [np.full(len(series), signature.index(unit), dtype=np.int64) for unit, series in requests.items()]
    return np.ascontiguousarray(np.concatenate(windows), np.float32), np.concatenate(units)


def score(requests: Split, outputs: Outputs, task: Task, *, cadence_seconds: float) -> float:
    """The headline metric of answers to `requests`, mean over the units where it is defined; NaN where it is in none.

    outputs: output name -> array of all windows, in the order of `requests`
    """
    scores = []
    for series, answers in _by_unit(requests, outputs):
        found = task.score(series.judged(), answers, cadence_seconds=cadence_seconds)
        scores.append(float(found[task.description.headline.name]))
    defined = [value for value in scores if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _by_unit(requests: Split, outputs: Outputs) -> list[tuple[Series, Mapping[str, NDArray[np.generic]]]]:
    ends = np.cumsum([len(series) for series in requests.values()])
    return [
        (series, {name: values[end - len(series) : end] for name, values in outputs.items()})
        for series, end in zip(requests.values(), ends, strict=True)
    ]


def _most_varied(series: Series, length: int) -> tuple[int, float]:
    """Where the stretch of `length` judged rows with the largest variance of the target begins, and that variance."""
    target = series.judged().target
    length = min(length, len(target))
    known = np.isfinite(target)
    centered = np.where(known, target - (target[known].mean() if known.any() else 0.0), 0.0)
    count = np.maximum(_sums(known.astype(np.float64), length), 1)
    # Unknown targets vary by nothing, so that a stretch of them with two known ones is not the best.
    variance = (_sums(centered**2, length) - _sums(centered, length) ** 2 / count) / length
    spread = float((centered**2).mean())
    relative = np.round(variance / spread, DIGITS) if spread > 0 else np.zeros_like(variance)
    last = len(relative) - 1 - int(np.argmax(relative[::-1]))
    return last, float(relative[last]) * spread


def _sums(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Sum of each stretch of `length` values."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    between: NDArray[np.float64] = sums[length:] - sums[:-length]
    return between


def _stretch(series: Series, begin: int, length: int) -> Series:
    rows = slice(None, series.history + begin + length)
    return Series(
        unit=series.unit,
        group=series.group,
        timestamps=series.timestamps[rows],
        values=series.values[rows],
        target=series.target[rows],
        history=series.history + begin,
    )
