"""One checkpoint as a file: safetensors with its SHA-256 in the name, there whole or not at all."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.task import Checkpoint

NAME = re.compile(r"^step-(?P<step>[0-9]{6,})\.(?P<sha256>[0-9a-f]{64})\.safetensors$")
PART = ".part"
SPOILT = ".corrupt"
METADATA = "wattline"


@dataclass(frozen=True)
class Stored:
    """A file that says by its name what it holds."""

    path: Path
    step: int
    sha256: str


def listed(folder: Path) -> list[Stored]:
    """The checkpoints in `folder`, the newest last; none where it is gone."""
    try:
        names = [(path, NAME.match(path.name)) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    found = [Stored(path, int(name["step"]), name["sha256"]) for path, name in names if name]
    return sorted(found, key=lambda one: (one.step, one.sha256))


def write(folder: Path, checkpoint: Checkpoint, *, identity: str) -> Stored:
    """Write `checkpoint` into `folder`, which must be there.

    identity: of the training, told again in the file
    Raises OSError where it cannot be written, and leaves nothing of it. InputError for notes that JSON has no word for.
    """
    content = _packed(checkpoint, identity)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"step-{checkpoint.step:06}.{digest}.safetensors"
    temporary = path.with_name(f"step-{checkpoint.step:06}{PART}")
    files.put(path, content, temporary=temporary)
    _sync(folder)
    return Stored(path, checkpoint.step, digest)


def read(stored: Stored, *, identity: str) -> Checkpoint:
    """The checkpoint in a file.

    Raises IntegrityError when its bytes are not those that were written, InputError when it is one of another training,
    OSError when it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = stored.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != stored.sha256:
        raise IntegrityError(f"{stored.path} was cut or altered: its bytes are not those of its name")
    try:
        said = json.loads(_metadata(content)[METADATA])
        found = str(said["identity"])
        checkpoint = Checkpoint(step=int(said["step"]), tensors=load(content), notes=said["notes"])
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise IntegrityError(f"{stored.path} is no checkpoint that Wattline wrote") from None
    if found != identity:
        raise InputError(
            f"{stored.path} is a checkpoint of training {found}, and this is training {identity}: rows, options, seed "
            "or code differ; remove it from there"
        )
    return checkpoint


def leftovers(folder: Path) -> Iterator[Path]:
    """What is left of checkpoints that were never finished."""
    return folder.glob(f"*{PART}")


def _packed(checkpoint: Checkpoint, identity: str) -> bytes:
    from safetensors.numpy import save

    said = {"identity": identity, "step": checkpoint.step, "notes": dict(checkpoint.notes)}
    try:
        text = json.dumps(said, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the notes of a checkpoint must be JSON, and finite: {error}") from None
    # safetensors writes the memory as it lies, whatever its strides say.
    tensors = {name: np.asarray(tensor, order="C") for name, tensor in checkpoint.tensors.items()}
    return bytes(save(tensors, metadata={METADATA: text}))


def _metadata(content: bytes) -> dict[str, str]:
    """Of safetensors: 8 bytes length, little-endian, then a header in JSON."""
    length = int.from_bytes(content[:8], "little")
    found: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return found


def _sync(folder: Path) -> None:
    """Let a new name survive the loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
