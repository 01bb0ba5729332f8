"""One model through train and evaluate, each in a process of its own; what was done before is not done again."""

import hashlib
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from wattline import files
from wattline.bakeoff.plan import Model
from wattline.bakeoff.workspace import Workspace
from wattline.errors import WattlineError
from wattline.params import Params
from wattline.records import Record
from wattline.reproduction.commands import streamed

Say = Callable[[str], object]

STAGES: Mapping[str, str] = {"train": "energy", "evaluate": "evaluate"}
"""Stage -> the section of params.yaml that it reads besides the model's own options."""
ERROR = re.compile(r"^wattline: (.+)")


class Finished(Record):
    """A stage that reached its end.

    inputs: digest of what it read
    outputs: file below the workspace -> SHA-256
    """

    stage: str
    inputs: str
    outputs: Mapping[str, str]


def run(model: Model, place: Workspace, loaded: Params, *, lock: int, say: Say) -> str | None:
    """Train and score a model, going on where an earlier attempt was interrupted. Gives the reason of a failure.

    lock: a descriptor that the stages keep open
    """
    inputs = model.identity
    for stage, section in STAGES.items():
        inputs = _digest(inputs, loaded.section(section).model_dump_json())
        if is_finished(place, stage, inputs):
            say(f"{model.name}: {stage} was done before")
            continue
        _marker(place, stage).unlink(missing_ok=True)
        failure = _run(stage, model.name, place, lock=lock, say=say)
        if failure is not None:
            return failure
        record = Finished(stage=stage, inputs=inputs, outputs=_outputs(place, stage))
        files.write_text(_marker(place, stage), record.to_json())
    return None


def is_finished(place: Workspace, stage: str, inputs: str) -> bool:
    """Whether `stage` was finished with these inputs, and what it wrote is still there, byte for byte."""
    try:
        record = files.read_record(_marker(place, stage), Finished)
        return record.inputs == inputs and record.outputs == _outputs(place, stage)
    except WattlineError:
        return False


def _run(stage: str, name: str, place: Workspace, *, lock: int, say: Say) -> str | None:
    """Run a stage; why it failed, in the words of its last line, or None."""
    said: list[str] = []

    def listen(line: str) -> None:
        if line.strip():
            said.append(line.strip())
        say(f"{name}: {line}")

    code = streamed(place.command(stage), folder=place.root, say=listen, keep_open=[lock])
    if code == 0:
        return None
    if code < 0:
        return f"{stage} was killed by {signal.Signals(-code).name}; look for a lack of memory"
    errors = [found.group(1) for line in said if (found := ERROR.match(line))]
    last = errors[-1] if errors else said[-1] if said else "it said nothing"
    return f"{stage} ended with exit code {code}: {last}"


def _outputs(place: Workspace, stage: str) -> dict[str, str]:
    paths = [place.report(stage)]
    if stage == "train":
        paths += [place.report("train_energy"), *(path for path in place.candidate.rglob("*") if path.is_file())]
    return {str(path.relative_to(place.root)): files.sha256(path) for path in sorted(paths)}


def _marker(place: Workspace, stage: str) -> Path:
    return place.root / "finished" / f"{stage}.json"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
