"""What a caller of /predict sends, checked field by field before the graph sees it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from wattline.errors import InputError
from wattline.records import Signature
from wattline.task import FloatArray

FIELDS = ("unit", "rows")
LARGEST = float(np.finfo(np.float32).max)
NOT_JSON = re.compile(r"-?(NaN|Infinity)")
LAST_NAME = re.compile(r'"([^"\\]{1,100})"\s*:\s*-?$')


class MalformedError(InputError):
    """A request that no server could answer. `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Question:
    """One window of one unit.

    window: (steps, columns) float32 in raw units and in the signature's column order, NaN where missing
    """

    unit: str
    window: FloatArray


def parse(body: bytes, signature: Signature) -> Question:
    """Read {"unit": name, "rows": [{column: number or null} x steps]}. Raises MalformedError naming the field."""
    content = _decode(body)
    if not isinstance(content, dict):
        raise MalformedError(f"the body must be a JSON object with {' and '.join(FIELDS)}, got {_kind(content)}")
    _check_names(content, FIELDS, place="the body", what="field")
    unit, rows = content["unit"], content["rows"]
    if not isinstance(unit, str) or not unit:
        raise MalformedError(f"unit must be a non-empty string, got {_kind(unit)}")
    if not isinstance(rows, list):
        raise MalformedError(f"rows must be a list of {signature.steps} objects, got {_kind(rows)}")
    if len(rows) != signature.steps:
        raise MalformedError(f"rows must hold {signature.steps} rows, oldest first, got {len(rows)}")
    columns = tuple(column.name for column in signature.columns)
    window = np.array([_row(row, columns, place=f"rows[{at}]") for at, row in enumerate(rows)], dtype=np.float32)
    return Question(unit=unit, window=window)


def _decode(body: bytes) -> Any:
    if not body.strip():
        raise MalformedError('the body is empty; send {"unit": ..., "rows": [...]}', status=400)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedError(_syntax(body, error), status=400) from None


def _syntax(body: bytes, error: orjson.JSONDecodeError) -> str:
    """Say what is wrong with the text; NaN and Infinity, which many writers of JSON emit, with the column's name."""
    text = body.decode(errors="replace")
    before, after = text[: error.pos], text[max(0, error.pos - 1) :]
    literal, name = NOT_JSON.match(after.lstrip(' :,[\t\n"')), LAST_NAME.search(before)
    if literal:
        where = name.group(1) if name else "a value"
        return f"{where} is {literal.group()}, which is not JSON; send null for a missing sample"
    return f"the body is not valid JSON: {error.msg}, line {error.lineno} column {error.colno}"


def _row(row: Any, columns: tuple[str, ...], *, place: str) -> list[float]:
    if not isinstance(row, dict):
        raise MalformedError(f"{place} must be an object of columns, got {_kind(row)}")
    if row.keys() != set(columns):
        _check_names(row, columns, place=place, what="column")
    return [_number(row[name], place=f"{place}.{name}") for name in columns]


def _check_names(found: Mapping[str, Any], wanted: tuple[str, ...], *, place: str, what: str) -> None:
    absent = [name for name in wanted if name not in found]
    extra = [_shown(name) for name in found if name not in wanted]
    if absent and extra:
        raise MalformedError(f"{place} lacks {what} {absent[0]} and has unknown {what} {extra[0]}; was it renamed?")
    if absent:
        raise MalformedError(f"{place} lacks {what} {absent[0]}")
    if extra:
        raise MalformedError(f"{place} has unknown {what} {extra[0]}; known: {', '.join(wanted[:50])}")


def _number(value: Any, *, place: str) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError(f"{place} must be a number or null, got {_kind(value)}")
    if not -LARGEST <= value <= LARGEST:
        raise MalformedError(f"{place} is {value:g}, more than float32 can hold")
    return float(value)


def _kind(value: Any) -> str:
    """What `value` is in JSON's words, with the value itself where it is short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the string {_shown(value)!r}"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return f"{value}"


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."
