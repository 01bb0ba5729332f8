"""What checks judge: everything that was asked, already answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from wattline.gitlab.asking import Answer, Trouble
from wattline.gitlab.doctor.needs import NEEDS, Kind, Need
from wattline.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """What came of trying something out.

    step: the last thing that was tried: "connect", "read", "write"
    code: why it failed; empty where everything was done
    trouble: why there was no answer at all
    """

    step: Literal["connect", "read", "write"] = "write"
    code: str = ""
    trouble: Trouble = ""

    @property
    def done(self) -> bool:
        """Whether every step was done."""
        return not self.code and not self.trouble


@dataclass(frozen=True)
class Keys:
    """The signing key and those that are trusted.

    id: of the public half of the signing key; None where it cannot be read
    trouble: why
    trusted: ids of the keys of serving.model.trusted_keys
    trusted_trouble: why those cannot be read
    """

    id: str | None = None
    trouble: str = ""
    trusted: tuple[str, ...] = ()
    trusted_trouble: str = ""


@dataclass(frozen=True)
class Place:
    """The machine of this job.

    shallow: whether the clone lacks history; None where there is no clone
    cache: folder that the outputs go to
    free_bytes: left there; None where it is not known
    outputs_bytes: of everything that dvc.lock names; None where there is none
    builder: the first program found that builds images
    installs: whether a job may install what is not here, as ci/setup.sh does
    """

    shallow: bool | None = None
    cache: Path = Path(".dvc/cache")
    free_bytes: int | None = None
    outputs_bytes: int | None = None
    builder: str | None = None
    installs: bool = False


@dataclass(frozen=True)
class Facts:
    """Everything that is known. What was not asked is None, what gave no answer in time is an Answer that says so.

    now: of this machine, in UTC, when the doctor began
    params_trouble: why params.yaml cannot be read
    token, project, branch, variables, environments, version, job: answers of GitLab's API; those to `variables` hold
        no values
    runners: variable that names a tag -> online runners that have what its jobs ask for
    health, tracking: of MLflow, asked without and with our credentials
    ledger, remote, registry: what came of trying them
    sealed: the health of Vault
    """

    known: Settings
    kind: Kind
    now: datetime
    params_trouble: str = ""
    token: Answer | None = None
    project: Answer | None = None
    branch: Answer | None = None
    variables: Answer | None = None
    environments: Answer | None = None
    version: Answer | None = None
    job: Answer | None = None
    runners: Mapping[str, Answer] = field(default_factory=dict)
    health: Answer | None = None
    tracking: Answer | None = None
    ledger: Outcome | None = None
    remote: Outcome | None = None
    registry: Outcome | None = None
    sealed: Answer | None = None
    keys: Keys = Keys()
    place: Place = Place()

    @property
    def needs(self) -> frozenset[Need]:
        """What the jobs of this pipeline need."""
        return NEEDS[self.kind]

    @property
    def in_vault(self) -> bool:
        """Whether what is not set here may be in a Vault that this job has not logged in to."""
        return self.known.vault_role is not None and self.known.secrets is None

    @property
    def role(self) -> int | None:
        """Access level of our token in the project: 30 is a Developer, 40 a Maintainer; None where not known."""
        permissions = self.project.get("permissions") if self.project else None
        found = [one.get("access_level") for one in (permissions or {}).values() if isinstance(one, dict)]
        levels = [level for level in found if isinstance(level, int)]
        return max(levels) if levels else None
