"""A lineage as W3C PROV-JSON (https://www.w3.org/submissions/prov-json/)."""

import json
import re
from typing import TYPE_CHECKING, Any

from wattline.errors import WattlineError
from wattline.supply.lineage.graph import Lineage, Node
from wattline.supply.lineage.kinds import Kind

if TYPE_CHECKING:
    from prov.model import ProvDocument

NAMESPACES = {
    "wattline": "urn:wattline:",
    "fact": "urn:wattline:fact:",
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
}


def render(lineage: Lineage) -> str:
    """The lineage as PROV-JSON text: equal lineages, equal text.

    Raises WattlineError when it does not read back as what it was.
    """
    from prov.model import ProvDocument

    document = _document(lineage)
    content = json.loads(str(document.serialize(format="json")))
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if ProvDocument.deserialize(content=text, format="json") != document:
        raise WattlineError("the lineage does not read back from its PROV-JSON; report this with the file")
    return text


def _document(lineage: Lineage) -> "ProvDocument":
    from prov.model import ProvDocument

    document = ProvDocument()
    for prefix, address in NAMESPACES.items():
        document.add_namespace(prefix, address)
    for node in lineage.nodes:
        _add(document, node)
    for edge in lineage.edges:
        # The methods have the names of the relations.
        getattr(document, edge.relation)(_name(edge.origin), _name(edge.target))
    return document


def _add(document: "ProvDocument", node: Node) -> None:
    attributes = _attributes(node)
    match node.nature:
        case "entity":
            document.entity(_name(node.id), attributes)
        case "activity":
            document.activity(_name(node.id), node.began, node.ended, attributes)
        case "agent":
            document.agent(_name(node.id), attributes)


def _attributes(node: Node) -> dict[str, Any]:
    from prov.constants import PROV
    from prov.identifier import Namespace

    types = {"person": PROV["Person"], "site": PROV["Organization"]}
    # One value each: PROV knows no order among several.
    attributes: dict[str, Any] = {
        "prov:label": node.label,
        "prov:type": types.get(node.kind) or Namespace("wattline", NAMESPACES["wattline"])[_type(node.kind)],
        "dcterms:identifier": node.id,
    }
    if node.nature == "agent":
        attributes["foaf:name"] = node.label
    if node.sha256:
        attributes["wattline:sha256"] = node.sha256
    return attributes | _facts(node)


def _type(kind: Kind) -> str:
    """`prepared data` -> `PreparedData`"""
    return kind.title().replace(" ", "")


def _facts(node: Node) -> dict[str, str]:
    """Facts by a name that every PROV reader takes; two that would get the same name are numbered."""
    found: dict[str, str] = {}
    for fact, text in node.facts.items():
        plain = "fact:" + (re.sub(r"[^A-Za-z0-9]+", "-", fact).strip("-") or "fact")
        name, number = plain, 1
        while name in found:
            number += 1
            name = f"{plain}-{number}"
        found[name] = text
    return found


def _name(identifier: str) -> str:
    return f"wattline:{identifier}"
