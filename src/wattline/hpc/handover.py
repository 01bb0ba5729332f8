"""What a stage is about to read, held against what the stages before it wrote: a damaged cache is noticed here."""

import json
from collections.abc import Iterable
from pathlib import Path

from wattline import files
from wattline.errors import IntegrityError
from wattline.hpc import work
from wattline.settings import settings
from wattline.sites import PIPELINE
from wattline.verification import lock, workspace
from wattline.verification.hashes import Hashes
from wattline.verification.lock import Recorded

BY_HAND = "by_hand"
"""Folder of the state with what `wattline run` made without DVC, which dvc.lock therefore does not know."""


def check(stage: str) -> None:
    """Hold the inputs of `stage` against the records of those who wrote them, which is not what it read last time.

    What no stage writes and no .dvc file names has no record, such as sources: git keeps those.
    Raises IntegrityError naming the input, and nothing has run.
    """
    if not PIPELINE.is_file():
        return
    hashes = Hashes()
    for found in _recorded(work.inputs_of(stage)):
        if not found.path.exists() or workspace.intact(found.path, found.md5, hashes=hashes):
            continue
        made = _made(found.by).get(str(found.path))
        if made is None or not workspace.intact(found.path, made, hashes=hashes):
            raise IntegrityError(
                f"{found.path}, which {stage} reads, is not what {found.by} has on record (MD5 {found.md5}), so "
                f"{stage} did not run; `wattline data verify {found.by}` says what is damaged and what to do"
            )


def remember(stage: str) -> None:
    """Keep in mind what `stage` wrote without DVC, so that the next stage may read it although dvc.lock differs."""
    if settings().dvc_stage is not None or not PIPELINE.is_file():
        return
    recorded = lock.outputs(lock.stages())
    wrote = {path: recorded[path].md5 for path in work.outputs_of(stage) if path in recorded and path.exists()}
    own = {str(path): workspace.digest(path) for path, md5 in wrote.items() if not workspace.intact(path, md5)}
    if own:
        files.write_text(_place(stage), json.dumps(own, indent=2) + "\n")
    else:
        _place(stage).unlink(missing_ok=True)


def _recorded(inputs: Iterable[Path]) -> list[Recorded]:
    """What is on record of these inputs, of what lies in them and of what they lie in."""
    wanted = list(inputs)
    known = {**lock.outputs(lock.stages()), **lock.added(wanted)}
    return [found for path, found in known.items() if any(_touches(path, one) for one in wanted)]


def _touches(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def _made(stage: str) -> dict[str, str]:
    try:
        made = json.loads(_place(stage).read_text())
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def _place(stage: str) -> Path:
    return settings().state / BY_HAND / f"{stage.replace('/', '-')}.json"
