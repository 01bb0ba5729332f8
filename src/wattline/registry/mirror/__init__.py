"""GitLab's model registry as a mirror: one version is pushed, once, however often and however it was interrupted."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from wattline.records import Record
from wattline.registry.mirror import steps
from wattline.registry.mirror.contents import gather, semantic
from wattline.registry.mirror.gitlab import GitLab

__all__ = ["MirrorResult", "push", "semantic"]


class MirrorResult(Record):
    """What a push did.

    semver: the version in GitLab
    changes: what was written there, in order; empty where everything was there
    """

    name: str
    version: str
    semver: str
    place: str
    changes: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        there = f"version {self.version} of {self.name} is in {self.place} as {self.semver}"
        return f"{there}: wrote {', '.join(self.changes)}" if self.changes else f"{there} already; nothing was changed"


def push(
    folder: Path,
    statement: bytes,
    *,
    name: str,
    version: str,
    tags: Mapping[str, str],
    address: str,
    token: SecretStr,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    champion: str | None = None,
    authority: Path | None = None,
) -> MirrorResult:
    """Bring version `version` of `name` to GitLab, or what is missing of it there.

    What is there is read back and compared; the run of the version is FINISHED only when all of it is there.

    folder: holds candidate/, reports/ and cards/, as they lie in the registry
    statement: the signed envelope of the version
    address: of the project, `<GitLab>/api/v4/projects/<id>`
    params, metrics: of the run that the version comes from; figures of the reports are added
    champion: which version is champion now; GitLab has no aliases, so the model's description says it
    authority: a PEM file with certificates to trust besides those of the system
    Raises IntegrityError when GitLab holds something else under this version or the folder is not whole, InputError
    when token, address, names or tags cannot be used, WattlineError when GitLab does not do its work.
    """
    contents = gather(
        folder, statement, name=name, version=version, tags=tags, params=params or {}, metrics=metrics or {}
    )
    with GitLab(address, token, authority=authority) as gitlab:
        changes = steps.ensure_model(gitlab, name)
        changes += steps.ensure_version(gitlab, contents)
        found = steps.same_version(gitlab, contents)
        changes += steps.ensure_files(gitlab, str(found["version"]), contents)
        changes += steps.ensure_run(gitlab, str(found["run_id"]), contents)
        if champion is not None:
            changes += steps.ensure_description(gitlab, name, champion)
    return MirrorResult(name=name, version=version, semver=contents.number, place=gitlab.place, changes=tuple(changes))
