"""What /predict and /model say about a loaded graph."""

import math
from typing import Any

import numpy as np

from wattline.records import Signature
from wattline.serving.engine import Engine
from wattline.serving.question import Question

CONTRIBUTIONS = 3


def answer(engine: Engine, question: Question) -> dict[str, Any]:
    """Score one window. What cannot be computed (every sample is missing, say) or is not in the graph is null.

    contributions: the columns that contribute most, largest first
    """
    signature = engine.signature
    index = signature.index(question.unit)
    outputs = engine.run(question.window[None], np.array([index], dtype=np.int64))
    score = _finite(outputs["score"][0])
    threshold = _finite(outputs["threshold"][0]) if "threshold" in outputs else None
    return {
        "unit": question.unit,
        "score": score,
        "alarm": None if score is None or threshold is None else score > threshold,
        "threshold": threshold,
        "contributions": _largest(outputs["contribution"][0], signature) if "contribution" in outputs else [],
        "model": {"digest": engine.candidate.digest, "task": signature.task},
        "unknown_unit": index < 0,
    }


def summary(engine: Engine) -> dict[str, Any]:
    """Which model answers, what it was trained on and what it wants to be asked."""
    candidate, signature = engine.candidate, engine.signature
    return {
        "task": signature.task,
        "model": candidate.model,
        "digest": candidate.digest,
        "data": candidate.data,
        "dataset": candidate.dataset,
        "parameters": candidate.parameters,
        "steps": signature.steps,
        "cadence_seconds": signature.cadence_seconds,
        "columns": [column.model_dump() for column in signature.columns],
        "units": signature.units,
        "outputs": [tensor.model_dump() for tensor in signature.outputs],
    }


def warm_up(engine: Engine) -> None:
    """Answer one window of zeros: the first run of a graph allocates what later ones use."""
    window = np.zeros((1, engine.signature.steps, len(engine.signature.columns)), dtype=np.float32)
    engine.run(window, np.array([-1], dtype=np.int64))


def _largest(contributions: np.ndarray[Any, Any], signature: Signature) -> list[dict[str, Any]]:
    named = zip((column.name for column in signature.columns), contributions.tolist(), strict=True)
    finite = [(value, name) for name, value in named if math.isfinite(value)]
    largest = sorted(finite, key=lambda pair: -pair[0])[:CONTRIBUTIONS]
    return [{"column": name, "contribution": value} for value, name in largest]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
