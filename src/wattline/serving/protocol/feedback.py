"""What callers of /feedback send, checked field by field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wattline.serving.protocol import jsontext
from wattline.serving.refusal import RefusedError

REQUIRED = ("id", "label")
OPTIONAL = ("comment", "at")
MOST_ITEMS = 1000
LONGEST_ID = 100
LONGEST_COMMENT = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody found out about one answer.

    prediction: id of the answer; it may be unknown here, for any worker may have given it
    label: 1 for an anomaly, 0 for none, None for not known (any more)
    at: when it was found out, where the caller says so [us since 1970-01-01 UTC]
    """

    prediction: str
    label: int | None
    comment: str | None = None
    at: int | None = None


def parse(body: bytes) -> tuple[Feedback, ...]:
    """Read {"id", "label", "comment", "at"}, or {"items": [such objects]}, in the order they came.

    Raises RefusedError: 400 for what is not JSON, 422 naming the field that is wrong.
    """
    content = jsontext.load(
        body, what="the body", place=lambda _: "a value", remedy="send null for a label that is not known"
    )
    if not isinstance(content, dict):
        raise _refused(f"the body must be a JSON object, got {jsontext.kind(content)}")
    if "items" not in content:
        return (_item(content, place=""),)
    items = content["items"]
    if len(content) > 1:
        extra = next(name for name in content if name != "items")
        raise _refused(f"{jsontext.shown(extra)} cannot stand beside items; put it into each of them")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_ITEMS:
        raise _refused(f"items must be a list of 1 to {MOST_ITEMS} objects, got {jsontext.kind(items)}")
    return tuple(_item(item, place=f"items[{at}]") for at, item in enumerate(items))


def _item(item: Any, *, place: str) -> Feedback:
    if not isinstance(item, dict):
        raise _refused(f"{place} must be an object, got {jsontext.kind(item)}")
    inside = f"{place}." if place else ""
    _check_names(item, where=place or "the body")
    return Feedback(
        prediction=_text(item["id"], place=f"{inside}id", shortest=1, longest=LONGEST_ID),
        label=_label(item["label"], place=f"{inside}label"),
        comment=_text(item["comment"], place=f"{inside}comment", shortest=0, longest=LONGEST_COMMENT)
        if "comment" in item
        else None,
        at=_instant(item["at"], place=f"{inside}at") if "at" in item else None,
    )


def _check_names(item: Mapping[str, Any], *, where: str) -> None:
    for name in REQUIRED:
        if name not in item:
            raise _refused(f"{where} lacks {name}")
    for name in item:
        if name not in REQUIRED and name not in OPTIONAL:
            known = ", ".join((*REQUIRED, *OPTIONAL))
            raise _refused(f"{where} has unknown field {jsontext.shown(name)}; known: {known}")


def _label(value: Any, *, place: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or value not in (0, 1):
        raise _refused(f"{place} must be 0, 1 or null, got {jsontext.kind(value)}")
    return int(value)


def _text(value: Any, *, place: str, shortest: int, longest: int) -> str:
    if not isinstance(value, str):
        raise _refused(f"{place} must be a string, got {jsontext.kind(value)}")
    if not shortest <= len(value) <= longest:
        raise _refused(f"{place} must have {shortest} to {longest} characters, got {len(value)}")
    return value


def _instant(value: Any, *, place: str) -> int:
    found = None
    if isinstance(value, str) and RFC_3339.fullmatch(value):
        try:
            found = (datetime.fromisoformat(value.upper()) - EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError):
            found = None
    if found is None or found < 0:
        raise _refused(
            f"{place} must be a time after 1970 with its zone, e.g. 2026-01-31T12:00:00Z, got {jsontext.kind(value)}"
        )
    return found


def _refused(message: str) -> RefusedError:
    return RefusedError(message, status=422)
