"""Research objects on disk: a folder or one ZIP file, whole or not at all."""

import tempfile
import zipfile
from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.supply.lineage import picture, prov_json
from wattline.supply.lineage.crate import entities, links
from wattline.supply.lineage.crate.about import About
from wattline.supply.lineage.graph import Lineage

PROV, PICTURE = "provenance/lineage.prov.json", "provenance/lineage.svg"


def write(folder: Path, *, version: Path, lineage: Lineage, root: str, about: About) -> None:
    """Write the crate of the version whose candidate/, reports/, cards/ and provenance/ lie in `version`.

    It takes the place of `folder` when it is whole. Equal arguments and files give equal bytes.

    root: id of the node that the crate is about
    Raises InputError when the files or the lineage do not make a crate, IntegrityError when a file changes meanwhile.
    """
    _check_input(version, lineage)
    with files.replace_directory(folder) as fresh, tempfile.TemporaryDirectory() as made:
        extras = {PROV: prov_json.render(lineage), PICTURE: picture.render(lineage, root)}
        for name, text in extras.items():
            files.write_text(Path(made) / name, text)
        paths = {path.relative_to(version).as_posix(): path for path in sorted(version.rglob("*")) if path.is_file()}
        entities.compose(paths | {name: Path(made) / name for name in extras}, lineage, about).write(fresh)
        links.check(fresh)


def write_zip(path: Path, *, version: Path, lineage: Lineage, root: str, about: About) -> None:
    """The same as one ZIP file, whose members have the time of publication."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "crate"
        write(folder, version=version, lineage=lineage, root=root, about=about)
        archive = Path(made) / "crate.zip"
        with zipfile.ZipFile(archive, "w") as stream:
            for one in sorted(folder.rglob("*")):
                # Folders too: readers look for what the metadata describes among the members.
                name = one.relative_to(folder).as_posix() + ("/" if one.is_dir() else "")
                member = zipfile.ZipInfo(name, about.published.timetuple()[:6])
                member.external_attr = (0o755 if one.is_dir() else 0o644) << 16
                member.compress_type = zipfile.ZIP_DEFLATED
                stream.writestr(member, b"" if one.is_dir() else one.read_bytes())
        files.write_bytes(path, archive.read_bytes())


def _check_input(version: Path, lineage: Lineage) -> None:
    if not any((version / entities.MODEL).glob("*")):
        raise InputError(f"{version / entities.MODEL} holds no model; download the version's files to {version} first")
    for path in version.rglob("*"):
        name = path.relative_to(version).as_posix()
        if path.is_symlink():
            raise InputError(f"{path} is a link, only files can be handed on; put the file in its place")
        if name in (PROV, PICTURE, links.METADATA):
            raise InputError(f"{path} would be overwritten by what is made from the lineage; remove it")
    runs = lineage.of_kind("run")
    if not runs:
        raise InputError("the lineage has no run, so nothing says how the model was made; add it")
    for run in runs:
        if not entities.among_causes(lineage, run, "commit"):
            raise InputError(f"{run.id} rests on no commit, so nothing says what made the model; add it")
