"""Stages run again, every one of them, with nothing answered from a cache."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from wattline import files
from wattline.errors import WattlineError
from wattline.reproduction.commands import Place, Say, dvc, streamed
from wattline.reproduction.pipeline import Stage

RUNNING = re.compile(r"Running stage '([^']+)':")


def prepare(stages: Sequence[Stage], lock: str, *, place: Place, committed: Path) -> None:
    """Make the worktree ready: the registered dvc.lock, a cache of its own, and no output that it has not made.

    committed: takes the outputs that the commit holds, reports and cards
    """
    files.write_text(place.root / "dvc.lock", lock)
    own_cache(place)
    for stage in stages:
        for output in stage.outputs:
            if (place.root / output.path).exists():
                (committed / output.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(place.root / output.path, committed / output.path)


def own_cache(place: Place) -> None:
    """Give the worktree an empty DVC cache, whatever cache the project names in its configuration."""
    files.write_text(place.root / ".dvc" / "config.local", f"[cache]\n    dir = {place.private / 'cache'}\n")


def run(names: Sequence[str], *, place: Place, python: Path, say: Say) -> None:
    """Run the stages `names`, in this order, and hand what they say to `say`.

    Raises WattlineError naming the stage that failed, or one that DVC did not run.
    """
    started: list[str] = []

    def listen(line: str) -> None:
        started.extend(RUNNING.findall(line))
        say(line)

    # --single-item: these alone. --no-commit: nothing is written to a cache, and no later stage finds it there.
    options = ("--force", "--single-item", "--no-run-cache", "--no-commit")
    code = streamed(dvc(place, python, "repro", *options, *names), folder=place.root, say=listen)
    if code:
        at = f"in stage {started[-1]}" if started else "before the first stage"
        raise WattlineError(
            f"dvc repro ended with exit code {code} {at}, as it says above; `--keep` keeps the worktree"
        )
    skipped = [name for name in names if name not in started]
    if skipped:
        raise WattlineError(f"dvc repro did not run {', '.join(skipped)}; what it took instead was not made here")


def changes(*, place: Place, python: Path) -> str:
    """What `dvc status --json` says before anything was run. Raises WattlineError when it fails."""
    command = dvc(place, python, "status", "--json")
    said = subprocess.run(command, cwd=place.root, capture_output=True, text=True, check=False)
    if said.returncode:
        raise WattlineError(f"dvc status failed in the worktree: {said.stderr.strip()[-200:]}")
    return said.stdout


def changed_sources(status: str, stages: Sequence[Stage], *, running: Sequence[str]) -> tuple[str, ...]:
    """Sources and params of the commit that are not those with which dvc.lock was written, by the words of `changes`.

    running: the stages that were run
    """
    # The champion has a check of its own, and figures of earlier versions enter nothing but what was measured.
    made = [str(files.CHAMPION), str(files.EARLIER), *(output.path for stage in stages for output in stage.outputs)]
    found = []
    for stage, states in json.loads(status).items():
        if stage in running:
            found += [text for text in _changed(states) if not _inside(text.split(" ")[0], made)]
    return tuple(dict.fromkeys(found))


def _changed(states: Sequence[object]) -> Iterator[str]:
    for state in states:
        for path, change in state.get("changed deps", {}).items() if isinstance(state, dict) else ():
            if isinstance(change, dict):
                yield from (f"{path}: {key} {how}" for key, how in change.items())
            else:
                yield f"{path} {change}"


def _inside(path: str, folders: Sequence[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)
