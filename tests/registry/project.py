"""What a person does with the project of the `project` fixture."""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from builders import signing_key, write_candidate, write_reports

from wattline import files
from wattline.params import RegistryParams
from wattline.records import Candidate, Champion
from wattline.registry import fetching, model, promotion, registration
from wattline.signing.keys import PublicKey

NAME = "anomaly"
PARAMS = RegistryParams(
    approvals=0, overridable=(), former_keys=(), import_keys=(), site="here", lock_seconds=5, wait_seconds=10
)
TRUSTED = (signing_key().public,)


def opened(
    trusted: Sequence[PublicKey] = TRUSTED, *, name: str = NAME, **changed: Any
) -> AbstractContextManager[model.Model]:
    """The registered model of the project in the current folder; `changed` are knobs of the registry."""
    return model.opened(name, params=PARAMS.model_copy(update=changed), trusted=trusted)


def register(**options: Any) -> str:
    """Register the candidate in the current folder."""
    with opened() as found:
        return registration.register(found, **options)


def promote(version: str | None = None, **options: Any) -> str:
    """Promote a version, or else the challenger."""
    with opened() as found:
        return promotion.promote(found, version, **options)


def rollback(to: str | None = None) -> str:
    """Go back to a former champion."""
    with opened() as found:
        return promotion.rollback(found, to)


def fetch() -> Champion:
    """Fetch the champion into champion/."""
    return fetching.fetch_champion(files.CHAMPION, name=NAME, params=PARAMS)


def another(weights: bytes, **reports: Any) -> Candidate:
    """Make another candidate the project's one; `reports` are options of `write_reports`."""
    shutil.rmtree(files.CANDIDATE)
    written = write_candidate(files.CANDIDATE, weights=weights)
    write_reports(files.REPORTS, written, **reports)
    return written


def commit(folder: Path) -> None:
    """Make `folder` a repository with everything but outputs in one commit."""
    files.write_text(folder / ".gitignore", "/data/\n/models/\n/champion/\n/.wattline/\n/wattline-*\n")
    files.write_text(folder / "params.yaml", "task: {name: anomaly, folder: src/project}\n")
    author = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "a project"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
