"""What all bills of materials share: CycloneDX 1.6 as JSON text, held against its schema."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from wattline.errors import WattlineError


def seal(content: Mapping[str, Any], *, identity: str) -> str:
    """The bill with this content as JSON text: equal contents, equal text. Raises WattlineError when it is not valid.

    identity: what the bill is about, as text; its serial number follows from it
    """
    serial = UUID(bytes=hashlib.sha256(identity.encode()).digest()[:16], version=5)
    header = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "serialNumber": f"urn:uuid:{serial}"}
    text = json.dumps(header | dict(content), indent=2, sort_keys=True) + "\n"
    problem = validate(text)
    if problem:
        raise WattlineError(f"the bill of materials is not valid CycloneDX 1.6: {problem}")
    return text


def validate(text: str) -> str | None:
    """What is wrong with `text` as CycloneDX 1.6 JSON; None when nothing is."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return None if error is None else " ".join(str(error).split())[:300]


def library(name: str, version: str) -> dict[str, Any]:
    """A Python distribution as a component."""
    return {
        "type": "library",
        "bom-ref": reference(name),
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{public(version)}",
    }


def public(version: str) -> str:
    """A version without its local part (+cpu), which no index knows."""
    return version.partition("+")[0]


def reference(name: str) -> str:
    """What a bill calls the component of this distribution."""
    return f"library:{name}"
