"""Who made the image that a tag names: a signature in its manifest.

A tag alone says nothing: on GitLab every job of every developer may push one, also that of a merge request which nobody
has read.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from wattline.deployment.images import Manifest
from wattline.errors import InputError, IntegrityError
from wattline.signing import PrivateKey, PublicKey, dsse

ANNOTATION = "io.wattline.made"
KIND = "application/vnd.wattline.image+json"


def vouched(manifest: Manifest, place: str, key: PrivateKey) -> Manifest:
    """The same image with a signature over what it is made of and `place`, REPOSITORY:TAG."""
    content = orjson.loads(manifest.content)
    envelope = dsse.seal(_said(content, place), key, kind=KIND).decode()
    content["annotations"] = {**(content.get("annotations") or {}), ANNOTATION: envelope}
    return Manifest(orjson.dumps(content), manifest.kind)


def is_vouched(manifest: Manifest, place: str, trusted: Sequence[PublicKey]) -> bool:
    """Whether a trusted key has signed that this image, and no other one, belongs to `place`."""
    try:
        content = orjson.loads(manifest.content)
        envelope = content["annotations"][ANNOTATION].encode()
        return dsse.unseal(envelope, trusted, kind=KIND) == _said(content, place)
    except (InputError, IntegrityError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _said(content: Any, place: str) -> bytes:
    """What is signed. The configuration names its files, too; the layers are what is fetched."""
    layers = [one["digest"] for one in content["layers"]]
    return orjson.dumps({"place": place, "config": content["config"]["digest"], "layers": layers})
