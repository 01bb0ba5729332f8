"""What the doctor found: one sentence for each thing that a pipeline needs, and what they come to."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from wattline.gitlab.doctor.needs import Kind, Need
from wattline.records import Record

State = Literal["ok", "missing", "wrong", "unknown"]
PROBLEMS: tuple[State, ...] = ("missing", "wrong")
WORDS: dict[State, str] = {"ok": "ok", "missing": "missing", "wrong": "wrong", "unknown": "cannot be known from here"}


class Finding(Record):
    """How one thing is.

    group: under which heading it is told
    subject: the variable, token or setting
    state: "unknown" where this job cannot see it
    needed: whether jobs of this pipeline fail without it
    said: what was seen; no secret, not even a part of one
    remedy: what to set and where; empty where nothing is to do
    """

    group: str
    subject: str
    state: State
    needed: bool
    said: str
    remedy: str = ""

    @property
    def blocks(self) -> bool:
        """Whether jobs after the doctor must not start."""
        return self.needed and self.state in PROBLEMS


class Report(Record):
    """All that was found.

    pipeline: its kind
    """

    pipeline: Kind
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """2 where something that this pipeline needs is missing or wrong."""
        return 2 if any(one.blocks for one in self.findings) else 0

    def lines(self) -> list[str]:
        """One line for each finding below the heading of its group, and a last one that sums up."""
        told: list[str] = [f"doctor: {self.pipeline} pipeline" if self.pipeline != "none" else "doctor: no pipeline"]
        for group in dict.fromkeys(one.group for one in self.findings):
            told += [group, *(_line(one) for one in self.findings if one.group == group)]
        return [*told, self._summary()]

    def _summary(self) -> str:
        count = Counter(one.state for one in self.findings)
        states = ", ".join(f"{count[state]} {WORDS[state]}" for state in WORDS if count[state])
        blocking = [one.subject for one in self.findings if one.blocks]
        if not blocking:
            return f"doctor: {states}; nothing that this pipeline needs is known to lack"
        return f"doctor: {states}; correct {', '.join(blocking)}: no later job starts, nothing is promoted"


@dataclass(frozen=True)
class Subject:
    """What a check is about; it makes the check's findings.

    need: what it serves; None where no job fails without it
    """

    group: str
    name: str
    need: Need | None = None

    def ok(self, said: str) -> Finding:
        """It is as it should be."""
        return Finding(group=self.group, subject=self.name, state="ok", needed=False, said=said)

    def unknown(self, said: str, remedy: str = "") -> Finding:
        """It cannot be seen from this job."""
        return Finding(group=self.group, subject=self.name, state="unknown", needed=False, said=said, remedy=remedy)

    def missing(self, needs: frozenset[Need], said: str, remedy: str) -> Finding:
        """It is not there."""
        return self._problem("missing", self.need in needs, said, remedy)

    def wrong(self, needs: frozenset[Need], said: str, remedy: str) -> Finding:
        """It is there, and jobs of this pipeline fail with it if they need it."""
        return self._problem("wrong", self.need in needs, said, remedy)

    def warning(self, said: str, remedy: str) -> Finding:
        """It is not as it should be, and no job fails by that."""
        return self._problem("wrong", False, said, remedy)

    def _problem(self, state: State, needed: bool, said: str, remedy: str) -> Finding:
        return Finding(group=self.group, subject=self.name, state=state, needed=needed, said=said, remedy=remedy)


def _line(one: Finding) -> str:
    word = {"ok": "ok", "unknown": "?"}.get(one.state, one.state.upper() if one.blocks else one.state)
    remedy = f"; {one.remedy}" if one.remedy else ""
    return f"  {word:<8} {one.subject}: {one.said}{remedy}"
