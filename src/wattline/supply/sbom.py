"""A software bill of materials: CycloneDX 1.6 JSON of the environment that a model was trained in."""

from collections.abc import Mapping
from typing import Any

from wattline.supply.bill import library, reference, seal
from wattline.supply.packages import Package

SUBJECT = "environment"


def render(packages: Mapping[str, Package], *, name: str, python: str) -> str:
    """The bill as JSON text: equal environments, equal text. Raises WattlineError when it is not valid CycloneDX 1.6.

    packages: from `packages.installed`, or `packages.recorded` for an environment of which only versions are known
    name: whose environment it is; python: version of its interpreter
    """
    ordered = [packages[key] for key in sorted(packages)]
    needed = {other for one in ordered for other in one.requires}
    roots = [reference(one.name) for one in ordered if one.name not in needed]
    subject = {"type": "application", "bom-ref": SUBJECT, "name": name, "properties": [_property("python", python)]}
    content = {
        "metadata": {"component": subject},
        "components": [_component(one) for one in ordered],
        "dependencies": [{"ref": SUBJECT, "dependsOn": roots}, *(_dependency(one, packages) for one in ordered)],
    }
    return seal(content, identity="\n".join([name, python, *(one.to_json() for one in ordered)]))


def _component(package: Package) -> dict[str, Any]:
    component = library(package.name, package.version)
    if package.licence:
        component["licenses"] = [_licence(package.licence)]
    component["hashes"] = [{"alg": "SHA-256", "content": digest} for digest in package.hashes]
    if len(package.hashes) > 1:
        component["properties"] = [_property("hashes", "of the files that the lock allows; one of them was installed")]
    return component


def _licence(text: str) -> dict[str, Any]:
    """An SPDX identifier, an SPDX expression, or the words of the metadata, whichever it is."""
    from cyclonedx.spdx import fixup_id, is_expression

    identifier = fixup_id(text)
    if identifier:
        return {"license": {"id": identifier}}
    return {"expression": text} if is_expression(text) else {"license": {"name": text}}


def _dependency(package: Package, packages: Mapping[str, Package]) -> dict[str, Any]:
    return {
        "ref": reference(package.name),
        "dependsOn": [reference(one) for one in package.requires if one in packages],
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"wattline:{name}", "value": value}
