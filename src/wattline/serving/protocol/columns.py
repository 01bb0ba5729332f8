"""Values by their names: all that are wanted, in one order, and no others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from wattline.serving.protocol.jsontext import kind, shown
from wattline.serving.refusal import RefusedError


def picked(
    objects: Sequence[Any],
    wanted: Sequence[str],
    *,
    place: Callable[[int], str],
    what: str = "column",
    ignore: bool = False,
) -> tuple[Any, ...]:
    """The values of all `objects` in the order of `wanted`, one object after the other.

    place: names an object in messages, by its number
    ignore: whether other names than the wanted ones may be there
    Raises RefusedError 422 naming the first object, or name in it, that is not as wanted.
    """
    try:
        if not ignore and not set(map(len, objects)) <= {len(wanted)}:
            raise KeyError
        found: Iterable[Any] = map(itemgetter(*wanted), objects)
        return tuple(chain.from_iterable(found)) if len(wanted) > 1 else tuple(found)
    except (KeyError, TypeError, IndexError):  # which object it is, is found here
        for number, candidate in enumerate(objects):
            if type(candidate) is not dict:
                message = f"{place(number)} must be an object of {what}s, got {kind(candidate)}"
                raise RefusedError(message, status=422) from None
            check_names(candidate, wanted, optional=candidate if ignore else (), place=place(number), what=what)
        raise


def check_names(
    found: Mapping[str, Any], wanted: Sequence[str], *, optional: Iterable[str] = (), place: str, what: str
) -> None:
    """Raise RefusedError 422 naming the first of `wanted` that is absent, or the first that is neither."""
    known = {*wanted, *optional}
    absent = [name for name in wanted if name not in found]
    extra = next((shown(name) for name in found if name not in known), None)
    if absent and extra:
        message = f"{place} lacks {what} {absent[0]} and has unknown {what} {extra}; was it renamed?"
    elif absent:
        message = f"{place} lacks {what} {absent[0]}"
    elif extra:
        message = f"{place} has unknown {what} {extra}; known: {', '.join(wanted[:50])}"
    else:
        return
    raise RefusedError(message, status=422)
