"""What this machine has: history, room, a builder of images, keys."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from wattline.errors import InputError
from wattline.gitlab.doctor.facts import Keys, Place
from wattline.settings import Settings
from wattline.signing import keys as pairs

BUILDERS = ("buildah", "podman", "docker")
LOCK = Path("dvc.lock")
SECONDS = 10


def place(known: Settings) -> Place:
    """The machine as it is for the project in the current folder."""
    cache = known.dvc_cache or Path(".dvc/cache")
    return Place(
        shallow=_shallow(),
        cache=cache,
        free_bytes=_free(cache),
        outputs_bytes=_outputs(),
        builder=next((name for name in (known.builder, *BUILDERS) if shutil.which(name)), None),
        installs=os.getuid() == 0 and shutil.which("apt-get") is not None,
    )


def keys(trusted: tuple[str, ...]) -> Keys:
    """The signing key, and the keys in the files `trusted`."""
    identity, trouble, trusted_trouble = None, "", ""
    ids: tuple[str, ...] = ()
    try:
        identity = pairs.load_private().public.id
    except InputError as error:
        trouble = str(error)
    try:
        ids = tuple(key.id for key in pairs.load_public(trusted))
    except InputError as error:
        trusted_trouble = str(error)
    return Keys(identity, trouble, ids, trusted_trouble)


def _shallow() -> bool | None:
    command = ["git", "rev-parse", "--is-shallow-repository"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() == "true"


def _free(folder: Path) -> int | None:
    absolute = folder.absolute()
    existing = next((one for one in (absolute, *absolute.parents) if one.is_dir()), None)
    return shutil.disk_usage(existing).free if existing else None


def _outputs() -> int | None:
    """Bytes of all outputs that dvc.lock names."""
    try:
        lock = yaml.safe_load(LOCK.read_text())
        return sum(_sizes(lock.get("stages", {})))
    except (OSError, yaml.YAMLError, AttributeError, UnicodeDecodeError):
        return None


def _sizes(stages: dict[str, Any]) -> Iterator[int]:
    for stage in stages.values():
        for out in (stage or {}).get("outs", []):
            size = out.get("size")
            if isinstance(size, int):
                yield size
