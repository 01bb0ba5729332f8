"""What the gates said."""

from typing import Literal

from pydantic import Field

from wattline.records.base import Figure, Provenance, Record
from wattline.records.energy_test import Judgement
from wattline.records.pareto import Pareto


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


class EnergyFindings(Record):
    """What lies behind the verdict on energy.

    test: what the samples of the energy test say; None where there was none to judge
    margin: what the candidate may cost more than the champion, as a share
    champion: version that it was held against; None where nothing was promoted yet
    pareto: reported, and decides nothing; None where it is not known how good or how costly the candidate is
    """

    test: Judgement | None
    margin: float
    champion: str | None = None
    pareto: Pareto | None = None


class Decision(Record):
    """All verdicts on one candidate.

    advisory: gates whose failure is reported but does not reject
    energy: the figures behind the verdict on energy; decisions of earlier releases have none
    """

    candidate: str
    data: str
    verdicts: tuple[Verdict, ...]
    advisory: tuple[str, ...] = ()
    energy: EnergyFindings | None = Field(default=None, exclude_if=lambda found: found is None)

    @property
    def accepted(self) -> bool:
        """True when there is a verdict and every one that counts passed and refused nothing."""
        counting = [verdict for verdict in self.verdicts if verdict.name not in self.advisory]
        return bool(counting) and all(verdict.passed and not verdict.refused for verdict in counting)
