"""A case: what a gate is asked, and all that its answer must say."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol

from wattline.records import Verdict


class Case(Protocol):
    """One promise about one module, in words, and a way to see whether some version of the module keeps it."""

    promise: str

    def broken_by(self, module: ModuleType) -> str:
        """What `module` does instead; empty when it keeps the promise."""
        ...


@dataclass(frozen=True)
class Asked:
    """A gate is called and answers. Floats are exact: limits are tested at the very limit.

    unit: of the figure that decided; None where a case does not ask for it
    keywords: arguments by name
    name: of the verdict, where it is not called like the function
    silent: words that the reason must not hold
    """

    promise: str
    gate: str
    arguments: tuple[Any, ...]
    outcome: Literal["PASS", "FAIL", "REFUSE"]
    value: float = math.nan
    limit: float = math.nan
    says: tuple[str, ...] = ()
    provenance: str = "computed"
    unit: str | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    silent: tuple[str, ...] = ()

    def broken_by(self, module: ModuleType) -> str:
        verdict: Verdict = getattr(module, self.gate)(*self.arguments, **self.keywords)
        differences = [
            f"{name} is {found!r} instead of {expected!r}"
            for name, found, expected in (
                ("name", verdict.name, self.name or self.gate),
                ("outcome", verdict.outcome, self.outcome),
                ("passed", verdict.passed, self.outcome == "PASS"),
                ("value", repr(float(verdict.value)), repr(float(self.value))),
                ("limit", repr(float(verdict.limit)), repr(float(self.limit))),
                ("provenance", verdict.provenance, self.provenance),
                ("unit", verdict.unit, self.unit or verdict.unit),
            )
            if found != expected
        ]
        differences += [f"{word!r} is not in {verdict.reason!r}" for word in self.says if word not in verdict.reason]
        differences += [f"{word!r} is in {verdict.reason!r}" for word in self.silent if word in verdict.reason]
        return "; ".join(differences)


@dataclass(frozen=True)
class Holds:
    """Something else is true of a module."""

    promise: str
    true_of: Callable[[ModuleType], bool] = field(repr=False)

    def broken_by(self, module: ModuleType) -> str:
        return "" if self.true_of(module) else "it is not so"
