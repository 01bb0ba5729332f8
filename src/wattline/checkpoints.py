"""Checkpoints of a training as files: weights and optimizer as safetensors, whatever else as its metadata."""

import json
from pathlib import Path

from wattline import files
from wattline.errors import PausedError
from wattline.task import Checkpoint, Due

STATE = "checkpoint.safetensors"


class Kept:
    """The newest checkpoint of one training, in `folder`, which outlives an interruption."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATE

    def newest(self) -> Checkpoint | None:
        if not self._path.exists():
            return None
        from safetensors import safe_open

        with safe_open(self._path, framework="numpy") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            return Checkpoint(tensors=tensors, **json.loads(stored.metadata()["wattline"]))

    def due(self) -> Due:
        return Due.KEEP

    def keep(self, checkpoint: Checkpoint, due: Due = Due.KEEP) -> None:
        from safetensors.numpy import save

        said = json.dumps({"step": checkpoint.step, "notes": dict(checkpoint.notes)}, allow_nan=False)
        files.write_bytes(self._path, save(dict(checkpoint.tensors), metadata={"wattline": said}))
        if due is Due.STOP:
            raise PausedError(f"stopped at step {checkpoint.step}; start the training again and it goes on from there")
