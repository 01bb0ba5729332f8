"""What tables of promises are made of: a call of a module, and what must come of it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from gates.cases import Holds

from wattline.errors import InputError

Call = Callable[[ModuleType], Any]


def gives(promise: str, call: Call, expected: object) -> Holds:
    return Holds(promise, lambda module: bool(call(module) == expected))


def says(promise: str, call: Call, *words: str) -> Holds:
    """A reason is given, and these words are in it."""

    def true_of(module: ModuleType) -> bool:
        reason = call(module)
        return reason is not None and all(word in str(reason) for word in words)

    return Holds(promise, true_of)


def silent(promise: str, call: Call) -> Holds:
    """There is nothing to say."""
    return Holds(promise, lambda module: call(module) is None)


def refuses(promise: str, call: Call, *words: str) -> Holds:
    """An InputError with these words is raised."""

    def true_of(module: ModuleType) -> bool:
        try:
            call(module)
        except InputError as error:
            return all(word in str(error) for word in words)
        return False

    return Holds(promise, true_of)
