"""Golden windows as requests, and whether an answer is the known one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from wattline.deployment.model import Model
from wattline.measuring.serving.traffic import close

UNKNOWN = "wattline-smoke"
"""A unit that no model was trained on."""


@dataclass(frozen=True)
class Question:
    """One window to ask about.

    body: JSON for /predict
    score: what the model answers; NaN where it answers none
    """

    body: bytes
    score: float


def questions(model: Model) -> list[Question]:
    """Every golden window, by column name and in raw units."""
    signature = model.contents.signature
    names = [column.name for column in signature.columns]
    found = []
    for window, unit, score in zip(
        model.golden.windows, model.golden.units, model.golden.outputs["score"], strict=True
    ):
        said = {
            "unit": signature.units[unit] if unit >= 0 else UNKNOWN,
            "rows": [dict(zip(names, row, strict=True)) for row in window],
        }
        found.append(Question(orjson.dumps(said), float("nan") if score is None else float(score)))
    return found


def difference(answer: Any, question: Question, *, identity: Mapping[str, str]) -> str | None:
    """What is wrong with an answer: another score, or another version; None where nothing is."""
    if not isinstance(answer, dict):
        return "it is no JSON object"
    if not close(answer.get("score"), question.score):
        return f"score {answer.get('score')}, the model's own is {question.score:.6g}"
    said = answer.get("model")
    if not isinstance(said, dict) or any(said.get(key) != value for key, value in identity.items()):
        return f"it comes from {said}, not from {dict(identity)}"
    return None


def identity(model: Model) -> dict[str, str]:
    """How a server names this version."""
    return {"name": model.name, "version": model.version, "digest": model.digest}
