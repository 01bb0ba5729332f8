"""What a person does with the project of the `project` fixture."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from builders import signing_key, write_candidate, write_reports

from wattline import files, signing
from wattline.params import Params, RegistryParams
from wattline.records import Candidate, Champion
from wattline.registry import audit, fetching, lookup, model, promotion, registration, statements
from wattline.signing.entry import Entry
from wattline.signing.keys import PrivateKey, PublicKey

NAME = "anomaly"
KEY = signing_key()
PARAMS = RegistryParams(
    approvals=0, overridable=(), former_keys=(), import_keys=(), site="here", lock_seconds=5, wait_seconds=10
)
TRUSTED = (KEY.public,)


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
    files.write_text(folder / ".gitignore", "/data/\n/models/\n/champion/\n/earlier/\n/.wattline/\n/wattline-*\n")
    files.write_text(folder / "params.yaml", "task: {name: anomaly, folder: src/project}\n")
    author = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "a project"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


def recover() -> Entry | None:
    """Make alias and log agree."""
    with opened() as found:
        return promotion.recover(found)


def following(weights: bytes) -> str:
    """Register another candidate, which was compared with today's champion."""
    another(weights, champion=champion_of_log())
    return register()


def promoted(*weights: bytes) -> list[str]:
    """Register and promote the candidate that is there and one for each of `weights`, in turn."""
    register()
    found = [promote()]
    for one in weights:
        following(one)
        found.append(promote())
    return found


def champion_of_log() -> Champion:
    """The champion as a candidate is compared with it."""
    with opened() as found:
        entry = found.champion()
    return Champion() if entry is None else Champion(version=entry.version, digest=entry.digest, name=NAME)


def candidate(folder: Path = files.CANDIDATE) -> Candidate:
    """The record of the candidate in `folder`."""
    return files.read_record(folder / "candidate.json", Candidate)


def versions() -> list[str]:
    """Numbers of all versions."""
    with opened() as found:
        return sorted(str(one.version) for one in found.client.search_model_versions(f"name = '{NAME}'"))


def tags(version: str) -> dict[str, str]:
    """Tags of a version."""
    with opened() as found:
        return dict(lookup.number(found, version).tags)


def alias(name: str = "champion") -> str | None:
    """The version that an alias points to."""
    with opened() as found:
        pointed = lookup.by_alias(found.client, NAME, name)
    return None if pointed is None else str(pointed.version)


def move_alias(version: str | None) -> None:
    """Move the alias `champion` by hand, behind our back."""
    with opened() as found:
        if version is None:
            found.client.delete_registered_model_alias(NAME, "champion")
        else:
            found.client.set_registered_model_alias(NAME, "champion", version)


def delete(version: str) -> None:
    """Delete a version by hand, behind our back."""
    with opened() as found:
        found.client.delete_model_version(NAME, version)


def artifacts(version: str) -> Path:
    """Where the store keeps what a version holds."""
    with opened() as found:
        run = found.client.get_run(lookup.number(found, version).run_id)
    return Path(run.info.artifact_uri.removeprefix("file://"))


def stored_statement(version: str) -> Path:
    """Where the store keeps a version's statement."""
    return artifacts(version) / statements.place(version)


def log() -> list[Entry]:
    """All entries of the audit log, verified."""
    with model.ledger(PARAMS) as ledger:
        return audit.verify(ledger.envelopes(), TRUSTED)[0]


def acts() -> list[tuple[str, str | None]]:
    """Action and version of all entries, refusals left out."""
    return [(entry.action, entry.version) for entry in log() if entry.action != "refuse"]


def refused() -> list[str]:
    """Reasons of all refusals in the log."""
    return [entry.reason for entry in log() if entry.action == "refuse"]


def state() -> tuple[list[str], str | None, str | None, list[tuple[str, str | None]]]:
    """Versions, aliases and what was done: what a refusal leaves as it is."""
    return versions(), alias(), alias("challenger"), acts()


def loaded(**changed: Any) -> Params:
    """What a verb reads of params.yaml; `changed` are knobs of the registry."""
    trusted = SimpleNamespace(trusted_keys=(".wattline/keys/public.pem",))
    serving, registry = SimpleNamespace(model=trusted), PARAMS.model_copy(update=changed)
    return cast(Params, SimpleNamespace(model=NAME, serving=serving, registry=registry))


def use(key: PrivateKey) -> None:
    """Make `key` the signing key of this project."""
    Path(".wattline/keys/private.pem").write_bytes(key.pem(None))


def fetched() -> signing.Statement:
    """The statement of the champion, fetched and verified as a server does."""
    fetch()
    return signing.verify_folder(files.CHAMPION, TRUSTED, candidate=candidate(files.CHAMPION), name=NAME)


@contextmanager
def database(*, triggers: bool = False) -> Iterator[sqlite3.Connection]:
    """The database behind our back; without triggers, as for somebody who may drop them."""
    connection = sqlite3.connect(".wattline/ledger.db")
    try:
        if not triggers:
            for verb in ("update", "delete"):
                connection.execute(f"DROP TRIGGER IF EXISTS wattline_audit_no_{verb}")
        yield connection
        connection.commit()
    finally:
        connection.close()


def flip(path: Path, at: int = -1) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
