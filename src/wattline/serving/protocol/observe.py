"""What a caller of /observe sends and gets: newest samples in, answers of complete windows out."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal, NoReturn

from wattline.records import Signature
from wattline.serving.batching import Outputs
from wattline.serving.observing.observations import Observed, Sample
from wattline.serving.protocol.answer import answer
from wattline.serving.protocol.columns import check_names, picked
from wattline.serving.protocol.jsontext import kind, load
from wattline.serving.protocol.question import Question, instant
from wattline.serving.protocol.tensors import fault, packed
from wattline.serving.refusal import RefusedError

FIELDS = ("unit", "timestamp", "values")
LONGEST_UNIT = 200
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""A sample from before was stamped by a clock that was never set."""
VALUES = '"values"'
LAST_NAME = re.compile(r'"([^"\\]{1,100})"\s*:\s*$')


def parse(
    body: bytes,
    signature: Signature,
    *,
    now: datetime,
    future_seconds: float,
    maximum_samples: int,
    extra_columns: Literal["refuse", "ignore"],
) -> list[Sample]:
    """Read {"unit": name, "timestamp": text, "values": {column: number or null}}, or {"samples": [such, ...]}.

    now: the time here, what `future_seconds` is counted from
    Raises RefusedError naming the field: 400 for what is no JSON, 422 for what is no sample.
    """
    content = load(body, what="the body", place=_name_before, remedy="send null for a missing value")
    samples, place = _samples(content, maximum_samples)
    fields = picked(samples, FIELDS, place=place, what="field")
    units, times, rows = fields[0::3], fields[1::3], fields[2::3]
    for at, unit in enumerate(units):
        if type(unit) is not str or not 0 < len(unit) <= LONGEST_UNIT:
            _refuse(f"{place(at, 'unit')} must be a string of 1 to {LONGEST_UNIT} characters, got {kind(unit)}")
    timestamps = [
        _recent(value, place=place(at, "timestamp"), now=now, future_seconds=future_seconds)
        for at, value in enumerate(times)
    ]
    columns = [column.name for column in signature.columns]
    ignore = extra_columns == "ignore"
    numbers = picked(rows, columns, place=lambda at: place(at, "values"), ignore=ignore)
    values = packed(numbers, text=body, missing=True)
    if values is None:
        at, what = fault(numbers, missing=True)
        _refuse(f"{place(at // len(columns), 'values')}.{columns[at % len(columns)]} {what}")
    return list(map(Sample, units, timestamps, values.reshape(len(units), len(columns))))


def answers(observed: Sequence[Observed], outputs: Outputs | None, signature: Signature) -> list[dict[str, Any]]:
    """What is said about each sample, in the order of `observed`.

    outputs: of the graph, a row for each window in `observed`, in this order; None: there is none
    signature: of the model that made them
    """
    rows = count()
    return [
        _about(one) if one.window is None or outputs is None else _scored(one, outputs, next(rows), signature)
        for one in observed
    ]


def _about(one: Observed) -> dict[str, Any]:
    said: dict[str, Any] = {
        "unit": one.unit,
        "timestamp": one.timestamp.isoformat().replace("+00:00", "Z"),
        "state": one.state,
        "have": one.have,
        "need": one.need,
        "missing": one.missing,
    }
    return said | {"note": one.note} if one.note else said


def _scored(one: Observed, outputs: Outputs, row: int, signature: Signature) -> dict[str, Any]:
    assert one.window is not None
    return answer(Question(one.unit, one.window, one.timestamp), outputs, row, signature=signature) | _about(one)


def _samples(content: Any, maximum: int) -> tuple[list[Any], Callable[..., str]]:
    """The samples in a body, and what names a field of one of them by its number."""
    if type(content) is not dict:
        _refuse(f"the body must be a JSON object with {', '.join(FIELDS)}, or with samples, got {kind(content)}")
    if "samples" not in content:
        return [content], lambda _, field="the body": field
    check_names(content, ("samples",), place="the body", what="field")
    samples = content["samples"]
    if type(samples) is not list or not 0 < len(samples) <= maximum:
        _refuse(f"samples must be a list of 1 to {maximum} samples, got {kind(samples)}")
    return samples, lambda at, field="": f"samples[{at}].{field}" if field else f"samples[{at}]"


def _recent(value: Any, *, place: str, now: datetime, future_seconds: float) -> datetime:
    found = instant(value, place=place, now=now, future_seconds=future_seconds)
    if found < EARLIEST:
        _refuse(f"{place} {value} lies before {EARLIEST:%Y}; set the clock that it comes from")
    return found


def _name_before(text: str) -> str:
    """The field whose value comes after `text`, as far as text that is no JSON shows it."""
    name = LAST_NAME.search(text[-200:])
    if name is None:
        return "a value"
    start = text.rfind(VALUES)
    if start < 0 or "}" in text[start:] or "{" not in text[start:]:
        return name.group(1)
    sample = f"samples[{text.count(VALUES) - 1}]." if '"samples"' in text[:start] else ""
    return f"{sample}values.{name.group(1)}"


def _refuse(message: str) -> NoReturn:
    raise RefusedError(message, status=422)
