"""Small real contenders, and rows to ask them about: the same answers for more or less work."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from builders import COLUMNS, UNITS, scorer, series, signature, write_candidate
from onnx import helper, numpy_helper

from wattline.measuring.contest import Rows
from wattline.records import Candidate
from wattline.task import Series

SIZE = 128
"""Rows of the square matrices that are multiplied for nothing."""
ROWS = Rows(
    {unit: series(200, unit=unit, history=10, seed=place) for place, unit in enumerate(UNITS)},
    [column.name for column in COLUMNS],
    60.0,
)


def labelled() -> Rows:
    """Rows of which some are anomalies, by what the graph of `scorer` says of them."""
    test = {unit: _labelled(one) for unit, one in ROWS.test.items()}
    return Rows(test, ROWS.columns, ROWS.cadence_seconds)


def _labelled(one: Series) -> Series:
    target = (np.nan_to_num(np.abs(one.values)).mean(axis=1) > 4).astype(float)
    return Series(one.unit, one.group, one.timestamps, one.values, target, one.history)


def write(folder: Path, *, products: int = 2, worse: bool = False, random: bool = False) -> Candidate:
    """A candidate that answers as `scorer` does.

    products: of matrices, in each call: the work
    worse: its answers are upside down
    random: its answers differ each time
    """
    model = scorer(optional=False)
    graph, make = model.graph, helper.make_node
    (last,) = [node for node in graph.node if "score" in node.output]
    last.output[0] = "sound"
    rng = np.random.default_rng(0)
    square = rng.normal(0, 1 / SIZE, (SIZE, SIZE)).astype(np.float32)
    graph.initializer.extend(
        [numpy_helper.from_array(square, "square"), numpy_helper.from_array(np.float32(-1), "minus")]
    )
    nodes = [
        # What is added is nothing, but ONNX Runtime cannot know, and has to compute it.
        make("ReduceMax", ["deviation"], ["largest"], keepdims=0),
        make("Add", ["square", "largest"], ["product0"]),
        *(make("MatMul", [f"product{i}", "square"], [f"product{i + 1}"]) for i in range(products)),
        make("ReduceMax", [f"product{products}"], ["peak"], keepdims=0),
        make("Mul", ["peak", "zero"], ["nothing"]),
        make("Add", ["sound", "nothing"], ["whole"]),
    ]
    final = "whole"
    if random:
        nodes += [make("RandomUniformLike", [final], ["noise"]), make("Add", [final, "noise"], ["noisy"])]
        final = "noisy"
    nodes.append(make("Mul" if worse else "Identity", [final, "minus"] if worse else [final], ["score"]))
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return write_candidate(folder, model=model, declared=signature(optional=False))


def children() -> set[int]:
    """Processes that this one has started and not waited for."""
    return set(_children(os.getpid()))


def _children(process: int) -> Iterator[int]:
    for thread in Path(f"/proc/{process}/task").iterdir():
        yield from map(int, (thread / "children").read_text().split())
