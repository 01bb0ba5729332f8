"""Where secrets are in Vault: `PATH@MOUNT`, as in GitLab's own `secrets:`."""

import re
from dataclasses import dataclass

from wattline.errors import InputError

MOUNT = "kv-v2"
"""Where GitLab looks when no mount is named."""
FORM = re.compile(r"(?P<path>[\w./-]+)(?:@(?P<mount>[\w./-]+))?")


@dataclass(frozen=True)
class Place:
    """One secret of a KV engine of version 2; its keys are names of variables."""

    path: str
    mount: str

    def __str__(self) -> str:
        return f"{self.path}@{self.mount}"


def places(text: str) -> tuple[Place, ...]:
    """Those of WATTLINE_VAULT_PATH, which are separated by spaces; MOUNT/data/PATH, as in Vault's API, will do, too.

    Raises InputError naming one that is none.
    """
    found = []
    for one in text.split():
        mount, data, path = one.partition("/data/")
        match = FORM.fullmatch(f"{path}@{mount}" if data and "@" not in one else one)
        if match is None or ".." in one:
            raise InputError(f"WATTLINE_VAULT_PATH holds {one!r}, which is no PATH@MOUNT; correct it")
        found.append(Place(match["path"].strip("/"), (match["mount"] or MOUNT).strip("/")))
    if not found:
        raise InputError("WATTLINE_VAULT_PATH names no secret; set it to PATH@MOUNT, more than one with spaces between")
    return tuple(found)
