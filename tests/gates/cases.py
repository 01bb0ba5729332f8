"""A case: what a gate is asked, and all that its answer must say."""

import math
from collections.abc import Callable
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

    def broken_by(self, module: ModuleType) -> str:
        verdict: Verdict = getattr(module, self.gate)(*self.arguments)
        differences = [
            f"{name} is {found!r} instead of {expected!r}"
            for name, found, expected in (
                ("name", verdict.name, self.gate),
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
        return "; ".join(differences)


@dataclass(frozen=True)
class Holds:
    """Something else is true of a module."""

    promise: str
    true_of: Callable[[ModuleType], bool] = field(repr=False)

    def broken_by(self, module: ModuleType) -> str:
        return "" if self.true_of(module) else "it is not so"
