"""JSON that callers sent: read, or refused with the place of the fault named."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from wattline.serving.refusal import RefusedError

NOT_JSON = re.compile(r"-?(NaN|Infinity)")
LONGEST_SHOWN = 60


def load(text: bytes, *, what: str, place: Callable[[str], str], remedy: str) -> Any:
    """Parse `text`. Raises RefusedError 400.

    what: names the text in messages, e.g. "the body"
    place: from all that stands before NaN or Infinity to the name of the field that it is the value of
    remedy: what to send in place of NaN
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fault = error
    if not text.strip():
        raise RefusedError(f"{what} is empty; it must be JSON")
    # NaN and Infinity come from many writers of JSON, so their place is worth a look.
    decoded = text.decode(errors="replace")
    start = fault.pos - (decoded[fault.pos - 1 : fault.pos] == "-")
    literal = NOT_JSON.match(decoded, start)
    if literal:
        raise RefusedError(f"{place(decoded[:start])} is {literal.group()}, which is not JSON; {remedy}")
    raise RefusedError(f"{what} is not valid JSON: {fault.msg}, line {fault.lineno} column {fault.colno}")


def kind(value: Any) -> str:
    """What `value` is in JSON's words, with the value itself where it is short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the string {shown(value)!r}"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return shown(str(value))


def shown(text: str) -> str:
    """`text`, cut where it is too long for a sentence."""
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
