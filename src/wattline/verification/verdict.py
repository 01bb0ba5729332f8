"""The outcome of a verification, as lines."""

from dataclasses import dataclass, field

from wattline.verification.problem import Problem

MEGABYTE = 1e6


@dataclass
class Verdict:
    """What was looked at, and what is wrong.

    outputs, files, objects: how many of each were held against their records
    bytes: that were read and hashed
    notes: what is not wrong, and still worth a line
    """

    outputs: int = 0
    files: int = 0
    objects: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def damaged(self) -> list[Problem]:
        """Problems with bytes that are there."""
        return [problem for problem in self.problems if not problem.missing]

    def lines(self) -> list[str]:
        """One for each problem and note, and one that counts."""
        wrong = "nothing is wrong" if not self.problems else f"{len(self.problems)} wrong"
        looked = f"{self.outputs} outputs, {self.files} files, {self.objects} objects, {self.bytes / MEGABYTE:.1f} MB"
        return [*(str(one) for one in self.problems), *self.notes, f"verified: {looked}; {wrong}"]
