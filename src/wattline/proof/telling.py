"""A trace as people and programs want it: a tree, a picture, PROV-JSON, a research object."""

from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.params import Params
from wattline.proof import making
from wattline.proof.trace import Trace, files_of, trace
from wattline.proof.writing import writing
from wattline.registry import statements
from wattline.registry.model import Model, of_project
from wattline.supply.lineage import crate as research_object
from wattline.supply.lineage import picture as drawing
from wattline.supply.lineage import prov_json, tree
from wattline.supply.lineage.crate import About

METADATA = "ro-crate-metadata.json"


def tell(
    loaded: Params,
    what: str,
    *,
    picture: Path | None = None,
    prov: Path | None = None,
    crate: Path | None = None,
) -> str:
    """The tree of `what`, with the other forms written where a path is given.

    crate: FILE.zip, or a folder that is absent, empty or a research object, which is replaced
    Raises as `trace` does, and InputError for a path where nothing can or must be written.
    """
    if crate is not None:
        _check_free(crate)
    folder = Path(loaded.serving.log.folder) if loaded.serving.log.folder else None
    with of_project(loaded, reading=True) as model:
        found = trace(model, what, log=folder)
        if crate is not None:
            _write_crate(loaded, model, found, crate)
    drawn, said = drawing.render(found.lineage, found.root.id), prov_json.render(found.lineage)
    for path, text in ((picture, drawn), (prov, said)):
        if path is not None:
            with writing(path):
                files.write_text(path, text)
    return tree.render(found.lineage, found.root.id)


def _write_crate(loaded: Params, model: Model, asked: Trace, destination: Path) -> None:
    """A research object is about one version: other models that the same rows led to are not made from its files."""
    version, number = asked.version, str(asked.version.version)
    found = asked if len(asked.lineage.of_kind("version")) == 1 else trace(model, number, log=None)
    root = found.lineage.of_kind("version")[0]
    with files_of(version) as folder, writing(destination):
        said = statements.card_summary(folder / "cards" / f"{loaded.task.name}.cdx.json")
        about = About(
            name=f"{version.name} version {number}",
            description=f"{said.purpose or 'A registered model.'} With its reports, cards, provenance and signatures; "
            "the rows it learned from are named, not included.",
            published=making.instant(version.creation_timestamp),
            licence=said.licence or loaded.block.card.licence,
            owner=said.owner or loaded.block.card.owner,
        )
        write = research_object.write_zip if destination.suffix == ".zip" else research_object.write
        write(destination.resolve(), version=folder, lineage=found.lineage, root=root.id, about=about)


def _check_free(crate: Path) -> None:
    """Raise InputError when something else than a research object would be replaced."""
    if crate.suffix == ".zip":
        free = not crate.is_dir()
    else:
        free = not crate.exists() or (crate.is_dir() and (not any(crate.iterdir()) or (crate / METADATA).is_file()))
    if not free:
        raise InputError(f"{crate} is there and is no research object; name a path that is free, it would be replaced")
