"""What /predict and /model say: a graph's outputs, and a model's papers, as JSON values."""

import math
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from wattline.records import Candidate, Signature
from wattline.serving.protocol.question import Question

CONTRIBUTIONS = 3


def answer(
    question: Question, outputs: Mapping[str, NDArray[Any]], row: int, *, signature: Signature
) -> dict[str, Any]:
    """Say what the graph found out about `question`. What is not finite, or not in the graph, is null.

    outputs: output name -> array; `row` is the place of this window on the first axis
    contributions: the columns that contribute most, largest first
    """
    score, threshold = _number(outputs, "score", row), _number(outputs, "threshold", row)
    return {
        "unit": question.unit,
        "score": score,
        "alarm": None if score is None or threshold is None else score > threshold,
        "threshold": threshold,
        "contributions": _largest(outputs["contribution"][row], signature) if "contribution" in outputs else [],
        "unknown_unit": question.unit not in signature.units,
    }


def summary(signature: Signature, candidate: Candidate) -> dict[str, Any]:
    """Which model answers, what it was trained on and what it wants to be asked."""
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


def _number(outputs: Mapping[str, NDArray[Any]], name: str, row: int) -> float | None:
    if name not in outputs:
        return None
    value = float(outputs[name][row])
    return value if math.isfinite(value) else None


def _largest(contributions: NDArray[Any], signature: Signature) -> list[dict[str, Any]]:
    finite = [(value, at) for at, value in enumerate(contributions.tolist()) if math.isfinite(value)]
    finite.sort(key=lambda pair: -pair[0])
    return [{"column": signature.columns[at].name, "contribution": value} for value, at in finite[:CONTRIBUTIONS]]
