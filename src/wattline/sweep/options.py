"""Options of a task as a sweep varies them: by dotted key, and checked before anything runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from wattline import editing
from wattline.errors import InputError
from wattline.params import KnobParams, typed
from wattline.task import Task


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted key as a tree, as params.yaml has it."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        section = tree
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    return tree


def value_at(train: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key. Raises KeyError where there is none."""
    found: Any = train
    for name in key.split("."):
        if not isinstance(found, Mapping):
            raise KeyError(key)
        found = found[name]
    return found


def check_fixed(fixed: Mapping[str, Any], space: Mapping[str, KnobParams], *, where: str) -> None:
    """Raise InputError for an option that is varied, too: the first trial would not have its present value."""
    for key in space:
        try:
            value_at(fixed, key)
        except KeyError:
            continue
        raise InputError(
            f"{where}.options sets {key}, which {where}.space varies: what beats that would not beat the present value "
            "in the section train; remove it from options"
        )


def check(space: Mapping[str, KnobParams], train: Mapping[str, Any], task: Task, *, where: str) -> None:
    """Raise InputError unless every key is an option, has its present value in its range, and may take both ends."""
    for key, knob in space.items():
        try:
            present = value_at(train, key)
        except KeyError:
            raise InputError(f"{where}.{key} is no option of `train`; remove or rename it") from None
        if isinstance(present, Mapping | list):
            raise InputError(f"{where}.{key} is a section of `train`, not a value; name one of its keys")
        if not holds(knob, present):
            raise InputError(
                f"{where}.{key} leaves out the present value, {present!r}, which the first trial has; widen it "
                f"({said(knob)})"
            )
        for value in _ends(knob):
            typed(
                task.options, editing.merged(train, nested({key: value})), where=f"{where}.{key}: with {value!r}, train"
            )


def holds(knob: KnobParams, value: Any) -> bool:
    """Whether `value` is one that the knob may take."""
    if knob.choices:
        return any(type(one) is type(value) and one == value for one in knob.choices)
    if type(value) is not (int if knob.is_whole else float) or knob.low is None or knob.high is None:
        return False
    step = knob.step or (1 if knob.is_whole else None)
    steps = (value - knob.low) / step if step else 0.0
    return knob.low <= value <= knob.high and abs(steps - round(steps)) < 1e-6


def said(knob: KnobParams) -> str:
    """The values of a knob in words."""
    if knob.choices:
        return "one of " + ", ".join(map(repr, knob.choices))
    kind = "whole numbers" if knob.is_whole else "numbers"
    return f"{kind} from {knob.low:g} to {knob.high:g}" + (f" in steps of {knob.step:g}" if knob.step else "")


def _ends(knob: KnobParams) -> Iterator[Any]:
    yield from knob.choices or (knob.low, knob.high)
