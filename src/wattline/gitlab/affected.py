"""Which stages `dvc repro` would have to run, found out without their data: a walk along the graph by digests alone.

What a stage reads from git is hashed here. What it reads from an earlier stage has the digest that dvc.lock says of
that one, or the run cache where that one changed and ran before; behind a stage that has to run, nobody knows.
`dvc status` does not do: without data it calls every stage changed, and none changed that follows a changed one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from wattline.errors import InputError
from wattline.gitlab import run_cache
from wattline.gitlab.run_cache import Shared

PIPELINE = "dvc.yaml"


@dataclass
class Plan:
    """What is to be done with every stage, in the order of the pipeline.

    parents: stage -> the stages whose outputs it reads
    to_run: stage -> why it may have to run
    restored: stages that changed, and ran before with the inputs of now
    unchanged: stages that are as dvc.lock says
    """

    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    to_run: dict[str, str] = field(default_factory=dict)
    restored: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


def plan() -> Plan:
    """Look at the DVC project in this folder. No data is fetched but listings of folders.

    Raises InputError when dvc.yaml or dvc.lock cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import get_active_graph, plan_repro

    try:
        with Repo(".") as repo:
            graph = get_active_graph(repo.index.graph)
            # Other files, such as notebooks/dvc.yaml, are for people: CI runs what stands here, and what that reads.
            order = plan_repro(graph, [stage for stage in graph if stage.path_in_repo == PIPELINE])
            found = Plan()
            walk = Walk(repo)
            for stage in order:
                upstream = [one for one in graph.successors(stage) if one.cmd]
                if stage.cmd:
                    names = {one.addressing for one in upstream}
                    found.parents[stage.addressing] = tuple(sorted(names))
                walk.step(stage, found)
            return found
    except DvcException as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise InputError(
            f"dvc.yaml and dvc.lock cannot be read together: {reason}; after a merge with conflicts in dvc.lock, "
            "take either side of it whole and let the pipeline write it anew"
        ) from None


class Walk:
    """Digests of outputs as they will be, learned stage by stage.

    known: path of an output -> its digest; None where the stage has yet to run
    """

    def __init__(self, repo: Any) -> None:
        self.repo = repo
        self.known: dict[str, str | None] = {}
        self.shared = Shared(repo) if repo.config["core"].get("remote") else None

    def step(self, stage: Any, found: Plan) -> None:
        """Decide on one stage, after those that it reads from."""
        digests: Mapping[str, str | None] = {out.fs_path: out.hash_info.value for out in stage.outs}
        reason = None
        if stage.cmd:
            reason = None if stage.frozen else self.reason(stage)
            if reason is None:
                found.unchanged.append(stage.addressing)
            elif (former := self.former_run(stage)) is not None:
                found.restored.append(stage.addressing)
                digests = {out.fs_path: former.get(out.def_path) for out in stage.outs}
            else:
                found.to_run[stage.addressing] = reason
                digests = dict.fromkeys(digests)
        self.known.update(digests)

    def reason(self, stage: Any) -> str | None:
        """Why a stage is not what dvc.lock says; None when it is.

        Its dependencies have the digests of now afterwards, where they are known.
        """
        if stage.is_callback or stage.always_changed:
            return "it always runs"
        reasons = list(self._changes(stage))
        if any(not out.hash_info for out in stage.outs):
            reasons.insert(0, "dvc.lock does not have it")
        elif stage.cmd_changed:
            reasons.insert(0, "its command changed")
        reasons += [f"{out} was changed" for out in stage.outs if out.exists and out.changed_checksum()]
        return reasons[0] if reasons else None

    def former_run(self, stage: Any) -> dict[str, str] | None:
        """Output -> digest of a run with the inputs of now; None when nobody knows of one."""
        from dvc.stage.cache import _get_cache_hash
        from dvc.stage.serialize import to_single_stage_lockfile

        unusable = not stage.deps or not stage.outs or any(out.persist for out in stage.outs)
        if unusable or stage.is_callback or stage.always_changed or any(not dep.hash_info for dep in stage.deps):
            return None
        entry = to_single_stage_lockfile(stage)
        entry.setdefault("outs", [{"path": out.def_path} for out in stage.outs])
        found = self._run(_get_cache_hash(entry, key=True))
        return None if found is None else {out["path"]: out["md5"] for out in found.get("outs", [])}

    def _run(self, key: str) -> Any:
        fs = self.repo.cache.legacy.fs
        folder = fs.join(self.repo.stage_cache.cache_dir, key[:2], key)
        for path in sorted(fs.find(folder)) if fs.exists(folder) else ():
            return run_cache.record(fs, path)
        for value in self.shared.values(key) if self.shared is not None else ():
            return self.shared.run(key, value) if self.shared is not None else None
        return None

    def _changes(self, stage: Any) -> Iterator[str]:
        """What differs from dvc.lock, dependency by dependency; each is given its digest of now."""
        from dvc.dependency import ParamsDependency
        from dvc_data.hashfile.meta import Meta

        for dep in stage.deps:
            if isinstance(dep, ParamsDependency):
                for path, how in dep.status().items():
                    yield f"{path}: {', '.join(how)} changed" if isinstance(how, dict) else f"{path} {how}"
                yield from self._saved(dep)
            elif makers := [path for path in self.known if _overlap(dep.fs_path, path)]:
                now = self._digest(dep.fs_path, makers)
                if now is None or now != dep.hash_info.value:
                    dep.meta, dep.hash_info = Meta(), _hash_info(now)  # the digest of dvc.lock is in both
                    yield f"{dep} {'may change' if now is None else 'changed'}"
            else:
                former = dep.hash_info
                yield from self._saved(dep)
                if dep.hash_info != former:
                    yield f"{dep} changed"

    def _saved(self, dep: Any) -> Iterator[str]:
        """Let DVC hash a dependency that lies in the workspace; a sentence when it cannot."""
        from dvc.exceptions import DvcException

        try:
            if dep.hash_name == "params":
                dep.hash_info = dep.get_hash()
            else:
                dep.meta, dep.hash_info = dep._get_hash_meta()
        except (DvcException, OSError):
            dep.hash_info = _hash_info(None)
            yield f"{dep} is absent"

    def _digest(self, path: str, makers: Sequence[str]) -> str | None:
        """Digest of a dependency that stages write; None where it is not known yet."""
        if len(makers) == 1 and makers[0] == path:
            return self.known[path]
        if len(makers) == 1 and PurePath(path).is_relative_to(makers[0]) and self.known[makers[0]] is not None:
            return self._below(makers[0], PurePath(path).relative_to(makers[0]))
        return None

    def _below(self, folder: str, path: PurePath) -> str | None:
        """Digest of a file in a folder, by the folder's listing in cache or remote."""
        from dvc_data.hashfile.transfer import find_tree_by_obj_id

        places = [self.repo.cache.local, *([self.shared.objects] if self.shared is not None else [])]
        tree = find_tree_by_obj_id(places, _hash_info(self.known[folder]))
        if tree is None:
            return None
        found = tree.get(path.parts)
        return None if found is None or found[1] is None else str(found[1].value)


def _hash_info(md5: str | None) -> Any:
    from dvc_data.hashfile.hash_info import HashInfo

    return HashInfo("md5", md5) if md5 is not None else HashInfo()


def _overlap(one: str, other: str) -> bool:
    return PurePath(one).is_relative_to(other) or PurePath(other).is_relative_to(one)
