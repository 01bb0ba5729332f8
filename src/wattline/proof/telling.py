"""A trace as people and programs want it: a tree, a picture, PROV-JSON, a research object."""

from pathlib import Path

from wattline import files
from wattline.params import Params
from wattline.proof import making
from wattline.proof.trace import Trace, files_of, trace
from wattline.registry.model import of_project
from wattline.supply.lineage import crate as research_object
from wattline.supply.lineage import picture as drawing
from wattline.supply.lineage import prov_json, tree
from wattline.supply.lineage.crate import About


def tell(
    loaded: Params,
    what: str,
    *,
    picture: Path | None = None,
    prov: Path | None = None,
    crate: Path | None = None,
) -> str:
    """The tree of `what`, with the other forms written where a path is given. Raises as `trace` does."""
    folder = Path(loaded.serving.log.folder) if loaded.serving.log.folder else None
    with of_project(loaded, reading=True) as model:
        found = trace(model, what, log=folder)
        if picture is not None:
            files.write_text(picture, drawing.render(found.lineage, found.root.id))
        if prov is not None:
            files.write_text(prov, prov_json.render(found.lineage))
        if crate is not None:
            _write_crate(loaded, found, crate)
    return tree.render(found.lineage, found.root.id)


def _write_crate(loaded: Params, found: Trace, destination: Path) -> None:
    about = About(
        name=f"{found.version.name} version {found.version.version}",
        description="A registered model with its reports, cards and provenance; the rows are named, not included.",
        published=making.instant(found.version.creation_timestamp),
        licence=loaded.block.card.licence,
        owner=loaded.block.card.owner,
    )
    with files_of(found.version) as folder:
        write = research_object.write_zip if destination.suffix == ".zip" else research_object.write
        write(destination, version=folder, lineage=found.lineage, root=found.root.id, about=about)
