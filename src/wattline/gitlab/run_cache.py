"""Runs that jobs share through the remote: data before the run that names it, the first of two equal runs stays.

`dvc push --run-cache` does not do: it leaves out the reports, which are outputs without `cache`, so that no other clone
can take a stage that has one; it sends a run before its data; and of two runs with equal inputs, whose timings differ,
the later one would replace what other jobs have begun to work with.
"""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from wattline.errors import InputError, WattlineError
from wattline.interruption import Say
from wattline.verification import before, tracked

CHUNK = 1 << 20
RUNS = "runs"


class Shared:
    """Objects and runs in the remote of a DVC repository."""

    def __init__(self, repo: Any) -> None:
        self.repo = repo
        self.objects = repo.cloud.get_remote_odb(None, "push")
        self.runs = repo.cloud.get_remote_odb(None, "push", hash_name="md5-dos2unix")

    def values(self, key: str) -> list[str]:
        """Names of the runs with the inputs `key`."""
        fs, folder = self.runs.fs, self._run(key)
        return sorted(fs.name(path) for path in fs.find(folder)) if fs.exists(folder) else []

    def run(self, key: str, value: str) -> Any:
        """What a run is on record with, in the form of an entry of dvc.lock; None when it cannot be read."""
        return record(self.runs.fs, self._run(key, value))

    def add(self, key: str, value: str) -> None:
        """Send the run of that name, of which the local cache has a record."""
        from dvc.fs import generic

        generic.copy(self.repo.cache.legacy.fs, local_run(self.repo, key, value), self.runs.fs, self._run(key, value))

    def remove(self, key: str, value: str) -> None:
        self.runs.fs.remove(self._run(key, value))

    def state(self, md5: str) -> str:
        """Whether an object is "there", "missing" or "damaged", by its bytes."""
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self.objects.fs.open(self.objects.oid_to_path(md5), "rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
        except FileNotFoundError:
            return "missing"
        return "there" if digest.hexdigest() == md5.removesuffix(".dir") else "damaged"

    def unsound(self, outputs: Collection[str]) -> Iterator[tuple[str, str]]:
        """Objects of these outputs that are not there or not what their name says, with their state."""
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import find_tree_by_obj_id

        for md5 in outputs:
            state = self.state(md5)
            if state != "there":
                yield md5, state
            tree = None
            if md5.endswith(".dir"):
                places = [self.repo.cache.local] if state != "there" else [self.repo.cache.local, self.objects]
                tree = find_tree_by_obj_id(places, HashInfo("md5", md5))
            for _, _, found in tree or ():
                state = self.state(found.value)
                if state != "there":
                    yield found.value, state

    def drop(self, md5: str) -> None:
        """Remove an object whose bytes are not what its name says."""
        self.objects.fs.remove(self.objects.oid_to_path(md5))

    def send(self, md5: str) -> bool:
        """Send one object, whether or not DVC believes that it is there; False when the local cache has it not.

        DVC does not look for the files of a folder whose listing is there.
        """
        cache = self.repo.cache.local
        if not cache.exists(md5):
            return False
        self.objects.add(cache.oid_to_path(md5), cache.fs, md5, check_exists=False)
        return True

    def _run(self, key: str, *value: str) -> str:
        return str(self.runs.fs.join(self.runs.path, RUNS, key[:2], key, *value))


def record(fs: Any, path: str) -> Any:
    """A run's record, in the form of an entry of dvc.lock; None when it is damaged."""
    from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
    from voluptuous import Invalid

    try:
        with fs.open(path, "rb") as stream:
            found = COMPILED_LOCK_FILE_STAGE_SCHEMA(yaml.safe_load(stream.read()))
    except (OSError, yaml.YAMLError, Invalid):
        return None
    return found if all(out.get("md5") for out in found.get("outs", [])) else None


def remember(ran: Collection[str]) -> None:
    """Put the stages `ran` on record in the local cache, and give the workspace files of its own for what git keeps.

    DVC itself records no run with an output that is neither cached nor a metric or plot, such as a model card, though
    it can restore one; and it restores links to the cache where that is configured, which artifacts cannot hold.
    """
    from dvc.repo import Repo

    with Repo(".") as repo:
        kept = dict(local_runs(repo))
        for stage in repo.index.stages:
            if stage.addressing in ran and stage.addressing not in kept:
                repo.stage_cache.save(stage)
            for out in stage.outs:
                if not out.use_cache:
                    own_files(Path(out.fs_path))


def own_files(output: Path) -> None:
    """Put copies in the places of links to the cache, which artifacts cannot hold."""
    for path in [output, *output.rglob("*")] if output.exists() else []:
        if path.is_symlink():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)


def push(ran: Collection[str], *, say: Say) -> None:
    """Send what the stages `ran` have made, and the runs that the remote does not know.

    Raises WattlineError when not everything arrived, IntegrityError when an object of the cache is damaged.
    """
    from dvc.repo import Repo

    with Repo(".") as repo:
        shared = Shared(repo)
        kept = dict(local_runs(repo))
        new = {name: (key, value) for name, (key, value) in kept.items() if value not in shared.values(key)}
        for name in sorted(ran):
            if name in kept:
                _mend(shared, name, kept[name], say=say)
        sent = {pair for name, pair in kept.items() if name in ran or name in new}
        for objects in repo.stage_cache.get_used_objs(sent).values():
            before.sending(tracked.cache(repo), (one.value for one in objects))
            failed = repo.cloud.push(objects).failed
            if failed:
                raise WattlineError(
                    f"{len(failed)} objects did not reach the DVC remote; look at its space and at who may write "
                    "there, and run this again"
                )
        for key, value in new.values():
            if not shared.values(key):
                shared.add(key, value)


def lost(*, say: Say) -> list[tuple[str, list[str]]]:
    """Stages whose outputs nobody has any more, with what they read and is not here, in the order of the pipeline.

    Damaged objects are removed from the remote.

    Raises InputError when something is lost that no stage makes.
    """
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    with Repo(".") as repo:
        shared = Shared(repo)
        found: list[tuple[str, list[str]]] = []
        for stage in plan_repro(repo.index.graph):
            wanted = [out for out in stage.outs if out.use_cache and out.hash_info and out.changed_cache()]
            unsound = list(shared.unsound([out.hash_info.value for out in wanted]))
            if not unsound:
                continue
            for md5, state in unsound:
                say(f"repro: the remote's object {md5} of {stage.addressing} is {state}")
                if state == "damaged":
                    shared.drop(md5)
            if not stage.cmd:
                raise InputError(
                    f"{wanted[0]} is in no cache and no stage makes it; `dvc push` it from where it still is"
                )
            found.append((stage.addressing, [dep.def_path for dep in stage.deps if not dep.exists]))
        return found


def inputs(targets: Collection[str]) -> list[str]:
    """What `dvc add` took inside of folders that `targets`, or what they need, read, and that is not here.

    Nothing for targets that DVC does not know: its own command says so.
    """
    from dvc.repo import Repo

    with Repo(".") as repo:
        plan = _plan(repo, targets)
        read = {Path(dep.fs_path) for stage in plan for dep in stage.deps if dep.protocol == "local"}
        added = [out for stage in plan if not stage.cmd for out in stage.outs if not out.exists]
        return [str(out) for out in added if not read.isdisjoint(Path(out.fs_path).parents)]


def changed(name: str, targets: Collection[str]) -> bool:
    """Whether the stage `name` is one that `targets` need, and has other inputs than dvc.lock tells of."""
    from dvc.repo import Repo

    with Repo(".") as repo, repo.lock:
        return any(stage.addressing == name and stage.changed_deps() for stage in _plan(repo, targets))


def _plan(repo: Any, targets: Collection[str]) -> list[Any]:
    """What `targets` are and need, in the order of DVC; nothing for targets that DVC does not know."""
    from dvc.dvcfile import PROJECT_FILE
    from dvc.exceptions import DvcException
    from dvc.repo.reproduce import plan_repro

    try:
        stages = [stage for target in targets or [PROJECT_FILE] for stage in repo.stage.collect(target)]
        return list(plan_repro(repo.index.graph, stages))
    except DvcException:
        return []


def local_runs(repo: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    """Stage -> inputs and name of the run that dvc.lock tells of, where the local cache has its record."""
    from dvc.stage.cache import _get_cache_hash
    from dvc.stage.serialize import to_single_stage_lockfile

    for stage in repo.index.stages:
        if stage.cmd and stage.outs and all(one.hash_info for one in [*stage.deps, *stage.outs]):
            key = _get_cache_hash(to_single_stage_lockfile(stage), key=True)
            value = _get_cache_hash(to_single_stage_lockfile(stage))
            if repo.cache.legacy.fs.exists(local_run(repo, key, value)):
                yield stage.addressing, (key, value)


def local_run(repo: Any, key: str, value: str) -> str:
    return str(repo.cache.legacy.fs.join(repo.stage_cache.cache_dir, key[:2], key, value))


def _mend(shared: Shared, name: str, ours: tuple[str, str], *, say: Say) -> None:
    """A stage that ran although the remote has a run with its inputs: take away what kept it from being used.

    Objects that are damaged go, and ours take their places. A run goes when what it names is not here either.
    """
    key, _ = ours
    for value in shared.values(key):
        outputs = [out["md5"] for out in (shared.run(key, value) or {}).get("outs", [])]
        unsound = list(shared.unsound(outputs))
        for md5, state in unsound:
            say(f"repro: the remote's object {md5} of {name} was {state}; the stage ran again")
            if state == "damaged":
                shared.drop(md5)
        sent = [shared.send(md5) for md5, _ in unsound]
        if not outputs or not all(sent):
            shared.remove(key, value)


def complete() -> None:
    """Make sure that the remote has all data that dvc.lock names.

    Raises WattlineError when nobody has some of it, IntegrityError when what is to be sent is damaged.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo(".") as repo:
        try:
            used = repo.used_objs()
        except DvcException as error:
            reason = " ".join(str(error.__cause__ or error).split())
            raise WattlineError(
                f"the listing of a folder that dvc.lock names is neither here nor in the DVC remote ({reason}); "
                "nothing was pushed: run the pipeline again"
            ) from None
        for wanted in used.values():
            found = repo.cloud.status(wanted)
            before.sending(tracked.cache(repo), (one.value for one in found.new))
            if found.new and repo.cloud.push(found.new).failed:
                raise WattlineError("not all data reached the DVC remote; look at its space and at who may write there")
            if found.missing:
                raise WattlineError(
                    f"{len(found.missing)} objects that dvc.lock names are neither here nor in the DVC remote, such as "
                    f"{min(one.value for one in found.missing)}; nothing was pushed: run the pipeline again"
                )
