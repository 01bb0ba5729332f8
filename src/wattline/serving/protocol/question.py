"""What a caller of /predict sends, checked field by field before the graph sees it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

from wattline.records import Signature
from wattline.serving.protocol.columns import check_names, picked
from wattline.serving.protocol.jsontext import kind, load
from wattline.serving.protocol.tensors import fault, packed
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

FIELDS = ("unit", "rows")
LAST_NAME = re.compile(r'"([^"\\]{1,100})"\s*:\s*$')
RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""A date, a time and a zone."""


@dataclass(frozen=True, slots=True)
class Question:
    """One window of one unit.

    window: (steps, columns) float32 in raw units and in the signature's column order, NaN where missing
    timestamp: of the newest row, in UTC, where it was given
    """

    unit: str
    window: FloatArray
    timestamp: datetime | None = None


def parse(
    body: bytes,
    signature: Signature,
    *,
    extra_columns: Literal["refuse", "ignore"],
    now: datetime,
    future_seconds: float,
) -> Question:
    """Read {"unit": name, "rows": [{column: number or null} x steps], "timestamp": optional}.

    Raises RefusedError naming the field: 400 for what is no JSON, 422 for what is no question.
    """
    content = load(body, what="the body", place=_name_before, remedy="send null for a missing sample")
    if type(content) is not dict:
        _refuse(f"the body must be a JSON object with {' and '.join(FIELDS)}, got {kind(content)}")
    if len(content) != len(FIELDS) or "unit" not in content or "rows" not in content:
        check_names(content, FIELDS, optional=("timestamp",), place="the body", what="field")
    unit, rows = content["unit"], content["rows"]
    if type(unit) is not str or not unit:
        _refuse(f"unit must be a non-empty string, got {kind(unit)}")
    if type(rows) is not list:
        _refuse(f"rows must be a list of {signature.steps} objects, got {kind(rows)}")
    if len(rows) != signature.steps:
        _refuse(f"rows must hold {signature.steps} rows, oldest first, got {len(rows)}")
    columns = [column.name for column in signature.columns]
    values = picked(rows, columns, place=lambda at: f"rows[{at}]", ignore=extra_columns == "ignore")
    window = packed(values, text=body, missing=True)
    if window is None:
        at, what = fault(values, missing=True)
        _refuse(f"rows[{at // len(columns)}].{columns[at % len(columns)]} {what}")
    when = content.get("timestamp")
    timestamp = None if when is None else instant(when, place="timestamp", now=now, future_seconds=future_seconds)
    return Question(unit, window.reshape(len(rows), len(columns)), timestamp)


def instant(value: Any, *, place: str, now: datetime, future_seconds: float) -> datetime:
    """An RFC 3339 timestamp with its zone, in UTC. Raises RefusedError 422.

    future_seconds: how far ahead of `now` it may be [s]
    """
    if type(value) is not str or not RFC_3339.fullmatch(value):
        _refuse(f"{place} must be a date, a time and a zone, such as 2026-01-31T12:00:00Z, got {kind(value)}")
    try:
        found = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        _refuse(f"{place} {value} is no instant: {error}")
    if (found - now).total_seconds() > future_seconds:
        _refuse(f"{place} {value} lies in the future: here it is {now.isoformat(timespec='seconds')}; check the clocks")
    return found


def _name_before(text: str) -> str:
    name = LAST_NAME.search(text[-200:])
    return name.group(1) if name else "a value"


def _refuse(message: str) -> NoReturn:
    raise RefusedError(message, status=422)
