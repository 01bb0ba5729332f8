"""What a version was made from, as the registry hands it over, and how a person wants it made again."""

from pathlib import Path
from typing import Literal

from wattline.environment import Environment
from wattline.records import Candidate, Champion, Record


class Recipe(Record):
    """One registered version and all that its making rests on.

    dirty: whether sources differed from the commit
    data: id of the dataset
    champion: what the candidate was compared with, as in reports/evaluate.json
    lock, params: text of dvc.lock and params.yaml, as registered
    """

    name: str
    version: str
    commit: str
    dirty: bool
    data: str
    dataset: str
    candidate: Candidate
    champion: Champion = Champion()
    lock: str
    params: str
    environment: Environment

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


class Options(Record):
    """How to reproduce.

    environment: "current" takes the running interpreter, "fresh" installs the version's lock anew, "auto" takes the
        running one when it has exactly the packages of that lock
    keep: leave the worktree where it is
    champion: folder with the files of the champion that the candidate was compared with
    evidence: folder with candidate/, reports/ and cards/ as registered; says by how much an output differs where DVC's
        cache and git no longer hold the registered bytes
    """

    environment: Literal["auto", "current", "fresh"] = "auto"
    keep: bool = False
    champion: Path | None = None
    evidence: Path | None = None
