"""`dvc repro` as a job runs it: what ran before with the same inputs comes from the remote, what runs goes there."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wattline import files, objects, params, partitions, splits
from wattline.errors import InputError, IntegrityError
from wattline.gitlab import dvc_commands, dvc_remote, run_cache
from wattline.gitlab.dvc_commands import Outcome
from wattline.interruption import Say, ended_by_sigterm
from wattline.settings import Settings

ARTIFACTS = (files.CANDIDATE, files.RAW / splits.DATASET, files.PREPARED / splits.MANIFEST)
"""What artifacts hold of outputs that DVC keeps; a link into a cache is worth nothing elsewhere."""
SHARED = ("--pull", "--allow-missing")
"""With a remote, data that nothing needs stays there. Without one it may be lost, and what is lost is made again."""


def repro(targets: Sequence[str], known: Settings, *, outputs: bool = False, say: Say) -> int:
    """Bring `targets` up to date, all stages where there are none; DVC's exit code. A fork's job sends nothing.

    outputs: bring what the targets write into the workspace, too, where nothing had to run for it
    Raises InputError when remote, cache or a target cannot be used, IntegrityError when an output is not what dvc.lock
    says; then nothing is sent.
    """
    begin = time.monotonic()
    for target in targets:
        if target.startswith("-"):
            raise InputError(f"'{target}' is no stage; name stages of dvc.yaml")
    with ended_by_sigterm():
        remote = dvc_remote.configure(known)
        outcome = _run(targets, remote=remote, say=say)
        if outputs and not outcome.code:
            outcome = _with_outputs(outcome, targets, remote=remote, say=say)
        ended = outcome.ran[:-1] if outcome.code else outcome.ran
        if outputs:
            for path in ARTIFACTS:
                run_cache.own_files(path)
        _check(None if outputs else [*ended, *outcome.restored])
        if ended or outcome.restored:
            run_cache.remember(ended)
        if remote is not None and (ended or outcome.restored) and not known.from_fork:
            run_cache.push(ended, say=say)
    if known.ci_job_name:
        _record(outcome, known.ci_job_name)
    say(summary(outcome, seconds=time.monotonic() - begin, shared=remote is not None or known.dvc_cache is not None))
    return outcome.code


def summary(outcome: Outcome, *, seconds: float, shared: bool) -> str:
    """One line: what was done, and what that took beside DVC [s].

    shared: whether other jobs find what ran
    """
    done = {"ran": outcome.ran, "from the run cache": outcome.restored, "unchanged": outcome.unchanged}
    words = [f"{what}: {', '.join(names) or 'nothing'}" for what, names in done.items()]
    if outcome.code:
        words.append(f"dvc ended with exit code {outcome.code}")
    if not shared and outcome.ran:
        words.append("neither WATTLINE_DVC_REMOTE nor WATTLINE_DVC_CACHE is set, so other jobs do not find it")
    return f"repro: {'; '.join(words)}; {seconds - outcome.seconds:.1f} s beyond the {outcome.seconds:.1f} s of dvc"


def _record(outcome: Outcome, job: str) -> None:
    """Leave for the merge request's note how each stage came about, beside the reports of the job."""
    ways = {"ran": outcome.ran, "cache": outcome.restored, "unchanged": outcome.unchanged}
    said = {stage: way for way, stages in ways.items() for stage in stages}
    files.write_text(files.REPORTS / "ci" / f"stages-{quote(job, safe='')}.json", json.dumps(said, indent=2) + "\n")


def _run(targets: Sequence[str], *, remote: str | None, say: Say) -> Outcome:
    if remote is None:
        return dvc_commands.repro(targets, say=say)
    _bring_inputs(targets, say=say)
    first = dvc_commands.repro([*SHARED, *targets], say=say)
    again = _made_again(say=say) if first.lacks_data else []
    if not again:
        return first
    return _together([first, *again, dvc_commands.repro([*SHARED, *targets], say=say)])


def _bring_inputs(targets: Sequence[str], *, say: Say) -> None:
    """Pull what `--pull` does not bring: what `dvc add` took in a folder that a stage reads, and a snapshot to read.

    Raises InputError naming what git or the remote did not give; without it a stage would read less than was meant.
    """
    _pull(run_cache.inputs(targets), say=say)
    _pull(_snapshot(targets), say=say)


def _pull(wanted: Sequence[str], *, say: Say) -> None:
    if not wanted:
        return
    dvc_commands.run(["pull", *wanted], say=say)  # whose exit code says nothing of damaged objects
    absent = [path for path in wanted if not Path(path).exists()]
    if absent:
        raise InputError(
            f"{absent[0]} is not in the DVC remote, or damaged there; `wattline push` it from where it still is"
        )


def _snapshot(targets: Sequence[str]) -> list[str]:
    """The snapshot that `ingest` is about to read, where it is not here."""
    if not partitions.known():
        return []
    ingest = params.load().block.ingest
    if ingest.source != "snapshot" or not run_cache.changed("ingest", targets):
        return []
    options = ingest.options.get("snapshot", {})
    folder = partitions.find(str(options.get("newest") or options.get("id")))
    if folder.is_dir():
        return []
    pointer = folder.with_name(f"{folder.name}.dvc")
    if not pointer.is_file():
        raise InputError(f"{pointer} is not in git; commit it where the snapshot was taken")
    return [str(folder)]


def _made_again(*, say: Say) -> list[Outcome]:
    """Run the stages whose outputs the remote has lost, in this order, and nothing else."""
    outcomes = []
    for stage, reads in run_cache.lost(say=say):
        if reads:
            dvc_commands.run(["pull", *reads], say=say)  # which DVC leaves out where it is to run a stage in any case
        outcomes.append(dvc_commands.repro(["--force", "--single-item", stage], say=say))
    return outcomes


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    ran = dict.fromkeys(name for one in outcomes for name in one.ran)
    restored = dict.fromkeys(name for one in outcomes for name in one.restored if name not in ran)
    unchanged = dict.fromkeys(
        name for one in outcomes for name in one.unchanged if name not in ran and name not in restored
    )
    return replace(
        outcomes[-1],
        ran=tuple(ran),
        restored=tuple(restored),
        unchanged=tuple(unchanged),
        seconds=sum(one.seconds for one in outcomes),
    )


def _with_outputs(outcome: Outcome, targets: Sequence[str], *, remote: str | None, say: Say) -> Outcome:
    command = ["pull" if remote is not None else "checkout", *targets]
    code, seconds = dvc_commands.timed(lambda: dvc_commands.run(command, say=say))
    again = _made_again(say=say) if code and remote is not None else []
    if again:
        code, more = dvc_commands.timed(lambda: dvc_commands.run(command, say=say))
        seconds += more
    whole = _together([outcome, *again])
    return replace(whole, code=code, seconds=whole.seconds + seconds)


def _check(stages: Sequence[str] | None) -> None:
    """Hold outputs of `stages`, of all where None, against dvc.lock: DVC hands on what its cache holds without a look.

    An object of the cache that is not what its name says is removed. Raises IntegrityError naming it.
    """
    from dvc.repo import Repo

    with Repo(".") as repo:
        found = list(_damaged(repo, stages))
    if found:
        raise IntegrityError(
            f"{', '.join(found)}: not what dvc.lock says, since DVC's cache was damaged; what was damaged is removed "
            "and nothing was sent, so run this job again"
        )


def _damaged(repo: Any, stages: Sequence[str] | None) -> Iterator[str]:
    for stage in repo.index.stages:
        for out in stage.outs if stages is None or stage.addressing in stages else ():
            path, recorded = Path(out.fs_path), out.hash_info
            if recorded and path.exists() and objects.digest(path) != recorded.value:
                _remove_damaged(repo, recorded.value)
                yield str(out)


def _remove_damaged(repo: Any, md5: str) -> None:
    """Remove an object from the local cache, and those that it lists, unless they are what their names say."""
    cache = objects.Cache(Path(repo.cache.local.path).parents[1])
    place = cache.object(md5)
    if place.is_file() and objects.file_digest(place) != md5.removesuffix(objects.FOLDER):
        place.unlink()
    elif md5.endswith(objects.FOLDER):
        for entry in set((cache.entries(md5) or {}).values()):
            _remove_damaged(repo, entry)
