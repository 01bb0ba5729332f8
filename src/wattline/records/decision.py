"""What the gates said."""

from typing import Literal

from wattline.records.base import Figure, Provenance, Record


class Check(Record):
    """One comparison of bytes with their record."""

    name: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        return self.expected == self.found and bool(self.expected)


class Verdict(Record):
    """The answer of one gate.

    value, limit: the figure that decided and what it was held against, in `unit`
    refused: the evidence does not allow an answer; a refusal never passes
    evidence: the reports it rests on
    provenance: whether `value` was measured, estimated or computed
    """

    name: str
    passed: bool
    value: Figure
    limit: Figure
    reason: str
    unit: str = "1"
    refused: bool = False
    evidence: tuple[str, ...] = ()
    provenance: Provenance = "computed"

    @property
    def outcome(self) -> Literal["PASS", "FAIL", "REFUSE"]:
        if self.refused:
            return "REFUSE"
        return "PASS" if self.passed else "FAIL"


class Decision(Record):
    """All verdicts on one candidate.

    advisory: gates whose failure is reported but does not reject
    """

    candidate: str
    data: str
    verdicts: tuple[Verdict, ...]
    advisory: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """True when there is a verdict and every one that counts passed and refused nothing."""
        counting = [verdict for verdict in self.verdicts if verdict.name not in self.advisory]
        return bool(counting) and all(verdict.passed and not verdict.refused for verdict in counting)
