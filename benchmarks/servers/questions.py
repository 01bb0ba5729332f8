"""What every server is asked, and what it must answer."""

from pathlib import Path

import numpy as np

STEPS, COLUMNS, UNITS = 64, 38, 3
NAME = "benchmark"

Question = tuple[np.ndarray, np.ndarray]
"""Windows (batch, STEPS, COLUMNS) float32 in raw units, and units (batch,) int64."""


def questions(count: int, windows: int) -> list[Question]:
    """`count` different questions of so many windows."""
    generator = np.random.default_rng(7)
    return [
        (
            generator.normal(25, 20, (windows, STEPS, COLUMNS)).astype(np.float32),
            generator.integers(0, UNITS, windows, dtype=np.int64),
        )
        for _ in range(count)
    ]


def answers(folder: Path, asked: list[Question]) -> list[list[float]]:
    """Scores of each question, computed here by the graph in `folder`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return [session.run(["score"], {"window": windows, "unit": units})[0].tolist() for windows, units in asked]
