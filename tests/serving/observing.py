"""A process of its own that observes samples: FILE FIRST STRIDE COUNT. It says what it has stored, step by step."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from wattline.params.serving import ObserveParams
from wattline.records import Column, Signature, Tensor
from wattline.serving.observing.observations import Observations, Sample
from wattline.task import FloatArray

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
UNITS = ("node-01", "node-02", "node-77")
STEPS = 64
COLUMNS = (Column(name="power", unit="W"), Column(name="temperature", unit="degC"), Column(name="load", unit="%"))


def signature(columns: tuple[Column, ...] = COLUMNS, *, steps: int = STEPS) -> Signature:
    """What a store must know of a model. Nothing is imported for it that takes a process long to start with."""
    tensor = Tensor(name="score", dtype="float32", shape=("batch",), unit="1", description="score")
    return Signature(
        task="anomaly", steps=steps, cadence_seconds=60, columns=columns, units=UNITS[:2], inputs=(), outputs=(tensor,)
    )


SIGNATURE = signature()


def opened(path: str, *, gap_steps: int = 3, maximum_units: int = 1000) -> Observations:
    params = ObserveParams(file=path, future_seconds=60, gap_steps=gap_steps, maximum_units=maximum_units)
    return Observations(params)


def values(unit: str, step: float, declared: Signature = SIGNATURE) -> FloatArray:
    """What `unit` measures at `step`: every value tells where it belongs."""
    first = 1000 * int(unit.rpartition("-")[2]) + 0.001 * step
    return first + 100_000 * np.arange(len(declared.columns), dtype=np.float32)


def sample(unit: str, step: float, declared: Signature = SIGNATURE) -> Sample:
    return Sample(unit, START + step * timedelta(seconds=60), values(unit, step, declared))


def batch(step: float, units: Sequence[str] = UNITS) -> list[Sample]:
    return [sample(unit, step) for unit in units]


def truth(unit: str, newest: int, steps: int = STEPS) -> FloatArray:
    """The window that ends at step `newest`."""
    return np.stack([values(unit, step) for step in range(newest - steps + 1, newest + 1)])


def feed(store: Observations, steps: range) -> None:
    """Observe every unit at each of `steps`, in one request."""
    store.observe([one for step in steps for one in batch(step)], SIGNATURE)


def started(path: str, *, first: int, stride: int, count: int) -> subprocess.Popen[str]:
    """This file as a process, which says "ready" and begins when it is sent a line."""
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.serving.observing", path, str(first), str(stride), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tests.parent,
        env=os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )


def main() -> None:
    path, first, stride, count = sys.argv[1], *map(int, sys.argv[2:5])
    store = opened(path)
    print("ready", flush=True)
    sys.stdin.readline()
    for step in range(first, first + stride * count, stride):
        store.observe(batch(step), SIGNATURE)
        print(step, flush=True)
    store.close()


if __name__ == "__main__":
    main()
