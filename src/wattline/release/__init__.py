"""Release: publish the champion under the tag of a pipeline, once."""

from pathlib import Path
from tempfile import TemporaryDirectory

from wattline import files
from wattline.gitlab import releases
from wattline.gitlab.packages import Package
from wattline.gitlab.project import Project
from wattline.gitlab.releases import Link
from wattline.params import Params
from wattline.records import Record
from wattline.registry.model import Model, of_project
from wattline.release import assets, describing
from wattline.release.choosing import Chosen, chosen, tagged
from wattline.settings import Settings

__all__ = ["Released", "release"]


class Released(Record):
    """What was published.

    label: of the model's version
    uploaded, kept: files that were sent, and files that were there
    made: whether GitLab's release was "created", "updated" or "unchanged"
    """

    tag: str
    label: str
    uploaded: tuple[str, ...]
    kept: tuple[str, ...]
    made: str


def release(loaded: Params, known: Settings) -> Released:
    """Publish the files of the champion as a generic package, and a GitLab release that links to them.

    A second time, it does what is still to do. Nothing is sent before all files are known to fit what is there.
    Raises InputError for a tag that is no vX.Y.Z or a variable that is not set, RejectedError when the tag does not
    hold what the champion was made from, IntegrityError when a version does not hold.
    """
    tagged(known)
    with (
        Project.with_job_token(known) as project,
        of_project(loaded) as model,
        chosen(model, loaded, known) as version,
        TemporaryDirectory(prefix="wattline-") as temporary,
    ):
        return _published(project, model, loaded, version, Path(temporary))


def _published(project: Project, model: Model, loaded: Params, version: Chosen, folder: Path) -> Released:
    package = Package(project, model.name, version.number)
    paths = assets.make(model, loaded, version, package, folder)
    missing = [path for path in paths if not package.check_absent_or_same(path)]
    for path in missing:
        package.put(path)
    digests = {path.name: files.sha256(path) for path in paths}
    made = releases.publish(
        project,
        version.tag,
        name=f"{version.tag}: {version.label}",
        description=describing.describe(version, digests, _notes(version)),
        links=[Link(name=name, url=package.address(name), kind=_kind(name)) for name in digests],
    )
    sent = tuple(path.name for path in missing)
    kept = tuple(name for name in digests if name not in sent)
    return Released(tag=version.tag, label=version.label, uploaded=sent, kept=kept, made=made)


def _kind(name: str) -> str:
    """GitLab's word for a file."""
    return "package" if name.endswith(".tar") else "other"


def _notes(version: Chosen) -> list[str]:
    """What a reader of the tag might take for granted and is not so."""
    said, notes = version.statement.predicate, []
    if said.commit != version.commit:
        notes.append("The tagged commit is a later one than it was made from; nothing that a stage reads differs.")
    lock, own = Path("dvc.lock"), version.evidence.folder / "provenance" / "dvc.lock"
    if own.is_file() and (not lock.is_file() or lock.read_bytes() != own.read_bytes()):
        notes.append("dvc.lock of the tagged commit is of another run; the one of this version lies in the archive.")
    if not own.is_file():
        notes.append("It was registered without dvc.lock, so that it cannot be made again.")
    failed = [one.name for one in said.verdicts if one.outcome != "PASS"]
    if failed:
        notes.append(f"Gates that did not pass and were advisory or overridden: {', '.join(failed)}.")
    if said.energy_per_1000.provenance == "estimated":
        notes.append("Energies are estimates, no measurements.")
    return notes
