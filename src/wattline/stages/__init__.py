"""The pipeline: one verb a file. A stage reads files and its sections of params.yaml, and writes files."""

import importlib
import inspect
from pathlib import Path

from wattline import floors, params
from wattline.errors import InputError

STAGES = ("ingest", "validate", "profile", "prepare", "train", "evaluate", "measure", "decide", "card")

LIBRARIES = ("torch", "onnx", "pyarrow", "cryptography")
"""What stages use and must not be too old."""


def sections(stage: str) -> tuple[str, ...]:
    """What `stage` asks for: the names of the parameters of its `run`. It gets these and nothing else."""
    module = importlib.import_module(f"wattline.stages.{stage}")
    return tuple(inspect.signature(module.run).parameters)


def run(stage: str, *, params_file: Path = params.FILE) -> None:
    """Run one stage here and now. Raises InputError for a name that is not a stage, or an old library."""
    if stage not in STAGES:
        raise InputError(f"{stage!r} is not a stage; stages: {', '.join(STAGES)}")
    floors.check(*LIBRARIES)
    loaded = params.load(params_file)
    arguments = {
        name: params.load_task(loaded.task) if name == "task" else loaded.section(name) for name in sections(stage)
    }
    importlib.import_module(f"wattline.stages.{stage}").run(**arguments)
