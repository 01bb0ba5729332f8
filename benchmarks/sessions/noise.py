"""Noise of this machine: CPU time of equal work, again and again, in two processes that take turns."""

import multiprocessing
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wattline.energy.paired.sequence import Bounds, bounds

Floats = NDArray[np.float64]

WINDOW_SECONDS = 0.1
COLUMNS, HIDDEN, BATCH = 38, 64, 256
# Readings that stay together when noise is resampled: four blocks of four.
TOGETHER = 16


@dataclass(frozen=True)
class Noise:
    """What windows of equal work differed by.

    residuals: (windows,) log of CPU time minus its process's mean, in the order in which they ran
    difference: ratio of both processes over blocks ABBA, with its 95 % interval: nothing but where they lie and run
    seconds: mean CPU time of a window [s]
    """

    residuals: Floats
    difference: Bounds
    seconds: float

    def shuffled(self) -> "Noise":
        """The same residuals without their order: what is left when nothing drifts, and blocks cancel nothing."""
        return replace(self, residuals=np.random.default_rng(7).permutation(self.residuals))

    @property
    def spread(self) -> float:
        """Standard deviation of the log: the coefficient of variation of a reading."""
        return float(self.residuals.std(ddof=1))

    @property
    def correlation(self) -> float:
        """Of a window with the next one."""
        return float(np.corrcoef(self.residuals[:-1], self.residuals[1:])[0, 1])

    @property
    def kurtosis(self) -> float:
        """Fourth standardised moment; 3 for normal noise."""
        return float(np.mean((self.residuals - self.residuals.mean()) ** 4) / self.residuals.var() ** 2)

    def replay(self, random: np.random.Generator, length: int, *, spread: float) -> Floats:
        """(length,) residuals as they might have come, scaled to a spread.

        Moving-block bootstrap (Kuensch 1989, doi 10.1214/aos/1176347265), so that what follows each other here does
        so there; the series is a circle, so that its ends are drawn as often as its middle.
        """
        starts = random.integers(0, len(self.residuals), size=-(-length // TOGETHER))
        places = (starts[:, None] + np.arange(TOGETHER)).ravel()[:length] % len(self.residuals)
        scaled: Floats = (self.residuals - self.residuals.mean())[places] * (spread / self.spread)
        return scaled


def measure(windows: int) -> Noise:
    """Run `windows` windows of an ONNX graph, in the order ABBA, in two processes that were started the same way."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    workers = [context.Process(target=_work, args=(theirs,)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    try:
        ours = [pipe for pipe, _ in pipes]
        passes = max(1, round(WINDOW_SECONDS / min(_ask(pipe, 200) for pipe in ours) * 200))
        turns = np.array([(0, 1, 1, 0)[place % 4] for place in range(windows)])
        logs = np.log([_ask(ours[turn], passes) for turn in turns])
    finally:
        for pipe, _ in pipes:
            pipe.send(0)
        for worker in workers:
            worker.join()
    means = np.array([logs[turns == process].mean() for process in range(2)])
    blocks = logs[: windows // 4 * 4].reshape(-1, 4) @ np.array([0.5, -0.5, -0.5, 0.5])
    return Noise(logs - means[turns], bounds(blocks.tolist(), level=0.025), float(np.exp(logs).mean()))


def _ask(pipe: Connection, passes: int) -> float:
    pipe.send(passes)
    return float(pipe.recv())


def _work(pipe: Connection) -> None:
    """Answer every number of passes with the CPU time that they took [s]; 0 ends."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(_graph(), options, providers=["CPUExecutionProvider"])
    window = {"window": np.random.default_rng(7).normal(size=(BATCH, COLUMNS)).astype(np.float32)}
    for _ in range(100):
        session.run(None, window)
    while passes := pipe.recv():
        begin = time.process_time()
        for _ in range(passes):
            session.run(None, window)
        pipe.send(time.process_time() - begin)


def _graph() -> bytes:
    """A small network of two layers."""
    random = np.random.default_rng(7)
    weights = {
        "first": random.normal(size=(COLUMNS, HIDDEN)).astype(np.float32),
        "second": random.normal(size=(HIDDEN, COLUMNS)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["window", "first"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "second"], ["answer"]),
    ]
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    shape = ["batch", COLUMNS]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape)],
        initializer=tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
