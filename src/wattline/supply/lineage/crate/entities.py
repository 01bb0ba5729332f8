"""What a research object says of its files and of how they were made, in schema.org's words."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wattline import files
from wattline.supply.lineage.crate.about import About
from wattline.supply.lineage.graph import Lineage, Node
from wattline.supply.lineage.kinds import Kind

if TYPE_CHECKING:
    from rocrate.model import ContextEntity, File  # type: ignore[import-untyped]
    from rocrate.rocrate import ROCrate  # type: ignore[import-untyped]

MODEL = "candidate/"
FORMATS: Mapping[str, str] = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pem": "application/x-pem-file",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}
OBJECTS: Mapping[Kind, str] = {
    "dataset": "Dataset",
    "prepared data": "Dataset",
    "params": "CreativeWork",
    "lock": "CreativeWork",
    "environment": "SoftwareApplication",
}
"""What a training started from, and what schema.org calls it."""


def compose(paths: Mapping[str, Path], lineage: Lineage, about: About) -> "ROCrate":
    """The crate of the files at `paths` (name in the crate -> where it lies now), not yet written."""
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    # Younger than the context of RO-Crate 1.1.
    crate.metadata.extra_terms["sha256"] = "http://schema.org/sha256"
    crate.name, crate.description = about.name, about.description
    crate.datePublished = about.published
    crate.license = _licence(crate, about.licence)
    _add_people(crate, about)
    parts = _add_files(crate, paths)
    model = [part for name, part in parts.items() if name.startswith(MODEL)]
    actions = [_add_action(crate, lineage, run, model, about.repository) for run in lineage.of_kind("run")]
    crate.root_dataset["mentions"] = _compact(actions)
    return crate


def among_causes(lineage: Lineage, node: Node, *kinds: Kind) -> list[Node]:
    """Nodes of these kinds that `node` rests on, directly or not."""
    causes = lineage.causes(node.id)
    return [one for one in lineage.of_kind(*kinds) if one.id in causes]


def _compact(values: list[Any]) -> Any:
    """One value stands alone, as RO-Crate wants its JSON."""
    return values[0] if len(values) == 1 else values


def _add_people(crate: "ROCrate", about: About) -> None:
    owner = {"@type": "Organization", "name": about.owner} | ({"url": about.home} if about.home else {})
    crate.publisher = author = _add(crate, about.home or "#owner", owner)
    if about.author:
        author = _add(crate, "#author", {"@type": "Person", "name": about.author, "affiliation": author})
    crate.root_dataset["author"] = author


def _add_files(crate: "ROCrate", paths: Mapping[str, Path]) -> dict[str, "File"]:
    parts = {name: _add_file(crate, name, path) for name, path in sorted(paths.items())}
    for folder in sorted({f"{name.split('/')[0]}/" for name in parts if "/" in name}):
        held = [part for name, part in parts.items() if name.startswith(folder)]
        crate.add_dataset(dest_path=folder, properties={"name": folder.rstrip("/"), "hasPart": _compact(held)})
    return parts


def _add(crate: "ROCrate", identifier: str, properties: Mapping[str, Any]) -> "ContextEntity":
    """The entity with this id, made when there is none yet."""
    from rocrate.model import ContextEntity

    return crate.get(identifier) or crate.add(ContextEntity(crate, identifier, properties=dict(properties)))


def _add_file(crate: "ROCrate", name: str, path: Path) -> "File":
    properties = {
        "name": name,
        "contentSize": str(path.stat().st_size),
        "encodingFormat": FORMATS.get(path.suffix, "application/octet-stream"),
        "sha256": files.sha256(path),
    }
    return crate.add_file(path, name, properties=properties)


def _licence(crate: "ROCrate", licence: str) -> "ContextEntity":
    from cyclonedx.spdx import is_supported_id

    address = f"https://spdx.org/licenses/{licence}" if is_supported_id(licence) else licence
    identifier = address if urlsplit(address).scheme in ("http", "https") else "#licence"
    description = f"The files of the model may be used under: {licence}"
    return _add(crate, identifier, {"@type": "CreativeWork", "name": licence, "description": description})


def _add_action(
    crate: "ROCrate", lineage: Lineage, run: Node, model: list["File"], repository: str | None
) -> "ContextEntity":
    code = {"codeRepository": repository} if repository else {}
    tools = [
        _add_node(crate, node, "SoftwareSourceCode", version=node.id.partition(":")[2], **code)
        for node in among_causes(lineage, run, "commit")
    ]
    objects = [_add_node(crate, node, OBJECTS[node.kind]) for node in among_causes(lineage, run, *OBJECTS)]
    agents = [
        _add_node(crate, lineage.node(edge.target), "Person")
        for edge in lineage.leaving(run.id)
        if lineage.node(edge.target).kind == "person"
    ]
    times = {"startTime": run.began, "endTime": run.ended}
    groups: Mapping[str, list[Any]] = {"instrument": tools, "object": objects, "agent": agents, "result": model}
    properties = {name: _compact(group) for name, group in groups.items() if group}
    properties |= {name: time.isoformat() for name, time in times.items() if time is not None}
    return _add_node(crate, run, "CreateAction", **properties)


def _add_node(crate: "ROCrate", node: Node, kind: str, **properties: Any) -> "ContextEntity":
    facts = "; ".join(f"{name}: {text}" for name, text in node.facts.items())
    known = {"@type": kind, "name": node.label, "identifier": node.id}
    known |= {"description": facts} if facts else {}
    known |= {"sha256": node.sha256} if node.sha256 else {}
    return _add(crate, f"#{node.id}", known | properties)
