"""A task whose models train in no time: equal answers at two prices, wrong ones, and some that do not get through."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wattline.records import Column, Dataset, Description, Metric, Record
from wattline.task import (
    Checkpoint,
    Due,
    FloatArray,
    InputError,
    Outputs,
    Predictor,
    Run,
    Series,
    Trained,
    TrainingData,
)

STEPS = 4
HALF_WAY = Checkpoint(step=1, tensors={}, notes={})


class Options(Record):
    """The `train` section.

    answers: `right` tells anomalies here, by chance; `wrong` is its negative; the others do not get through
    layers: multiplications by one, which cost and change nothing
    nested: read by nobody
    """

    answers: Literal["right", "wrong", "diverges", "dies", "refuses", "waits"]
    layers: int = 0
    nested: Mapping[str, int] = {}


class Contestants:
    """Scores windows by their mean absolute value."""

    description = Description(
        name="contestants",
        purpose="Scores windows.",
        intended_use="Tests of the bake-off.",
        out_of_scope="Everything else.",
        limits="It learns nothing.",
        output="mean absolute value",
        output_unit="1",
        metrics=(
            Metric(name="separation", unit="1", higher_is_better=True, description="mean score of anomalies - normal"),
        ),
    )
    options = Options

    def expectations(self, dataset: Dataset) -> Sequence[Any]:
        return []

    def target(self, series: Series) -> NDArray[np.float64]:
        return series.target

    def train(self, data: TrainingData, options: Options, run: Run) -> Trained:
        if options.answers == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if options.answers == "refuses":
            raise InputError("this model refuses to be trained")
        resumed = run.checkpoints.newest() is not None
        run.checkpoints.keep(HALF_WAY)
        while options.answers == "waits" and not resumed:
            time.sleep(0.02)
            if (due := run.checkpoints.due()) is Due.STOP:
                run.checkpoints.keep(HALF_WAY, due)
        sign = 1.0 if options.answers == "wrong" else -1.0
        return Trained(
            model=options.answers,
            graph=graph(data.columns, sign=sign, layers=options.layers).SerializeToString(),
            steps=STEPS,
            tensors={"sign": np.asarray([sign], np.float32)},
            reference=lambda windows, units: {"score": scores(windows, sign)},
            output_units={"score": "1"},
            curves=[{"loss": np.nan if options.answers == "diverges" else 1.0, "resumed": float(resumed)}],
        )

    def baselines(self, data: TrainingData, options: Options) -> Mapping[str, Predictor]:
        return {"constant": lambda series: {"score": np.zeros(len(series), np.float32)}}

    def score(self, truth: Series, outputs: Outputs, *, cadence_seconds: float) -> Mapping[str, float]:
        score, anomalous = outputs["score"], truth.target == 1
        separation = score[anomalous].mean() - score[~anomalous].mean() if anomalous.any() else np.nan
        return {"separation": float(separation)}


def scores(windows: FloatArray, sign: float) -> NDArray[np.float32]:
    """What the graph computes."""
    mean: NDArray[np.float32] = (sign * np.nan_to_num(np.abs(windows)).mean(axis=(1, 2)) / 1000).astype(np.float32)
    return mean


def graph(columns: Sequence[Column], *, sign: float, layers: int) -> onnx.ModelProto:
    """The mean absolute value. Every layer multiplies by one: it changes no answer, and costs."""
    make, width = helper.make_node, len(columns)
    nodes = [
        make("IsNaN", ["window"], ["missing"]),
        make("Where", ["missing", "zero", "window"], ["layer0"]),
        *(make("MatMul", [f"layer{place}", "one"], [f"layer{place + 1}"]) for place in range(layers)),
        make("Abs", [f"layer{layers}"], ["distance"]),
        make("ReduceMean", ["distance", "axes"], ["mean"], keepdims=0),
        make("Mul", ["mean", "scale"], ["score"]),
    ]
    constants = {
        "zero": np.asarray(0, np.float32),
        "one": np.eye(width, dtype=np.float32),
        "axes": np.asarray([1, 2], np.int64),
        "scale": np.asarray(sign / 1000, np.float32),
    }
    whole = helper.make_graph(
        nodes,
        "contestant",
        [
            helper.make_tensor_value_info("window", TensorProto.FLOAT, ["batch", STEPS, width]),
            helper.make_tensor_value_info("unit", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])],
        initializer=[numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


TASK = Contestants()
