"""dvc.yaml and dvc.lock as far as reports need them: who writes which report, and what it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from wattline import files
from wattline.errors import InputError


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    reports: JSON files that it writes to reports/
    upstream: stages whose outputs it reads
    """

    name: str
    reports: tuple[Path, ...]
    upstream: tuple[str, ...]


@dataclass(frozen=True)
class Locked:
    """One stage of dvc.lock: path -> MD5 of what it read and wrote when it last ended well."""

    deps: Mapping[str, str] = field(default_factory=dict)
    outs: Mapping[str, str] = field(default_factory=dict)


def stages(path: Path) -> dict[str, Stage]:
    """The stages of dvc.yaml, each after those it rests on. Raises InputError when it cannot be read."""
    tree = _tree(path)
    outs = {name: _paths(stage, "outs", "metrics", "plots") for name, stage in tree.items()}
    deps = {name: _paths(stage, "deps") for name, stage in tree.items()}
    found = {
        name: Stage(
            name,
            reports=tuple(Path(one) for one in outs[name] if Path(one).parent == files.REPORTS and one[-5:] == ".json"),
            upstream=tuple(other for other in tree if other != name and _reads(deps[name], outs[other])),
        )
        for name in tree
    }
    return upstream(found, tuple(found))


def upstream(known: Mapping[str, Stage], wanted: Sequence[str]) -> dict[str, Stage]:
    """The `wanted` stages and all that they rest on, in the order in which they run."""
    found: dict[str, Stage] = {}

    def add(name: str, downstream: tuple[str, ...]) -> None:
        if name not in known:
            raise InputError(f"{name!r} is no stage of dvc.yaml; stages: {', '.join(known)}")
        if name in downstream:
            raise InputError(f"dvc.yaml: stage {name} rests on itself; run `dvc dag` and correct it")
        for other in known[name].upstream:
            add(other, (*downstream, name))
        found.setdefault(name, known[name])

    for name in wanted:
        add(name, ())
    return found


def locked(path: Path) -> dict[str, Locked]:
    """What dvc.lock says of each stage; nothing where it is not there, since then no stage ever ended well."""
    if not path.is_file():
        return {}
    return {
        name: Locked(deps=_digests(stage.get("deps")), outs=_digests(stage.get("outs")))
        for name, stage in _tree(path).items()
    }


def _tree(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        found = yaml.safe_load(path.read_text())["stages"]
        if all(isinstance(stage, dict) for stage in found.values()):
            return dict(found)
        reason = "a stage is no mapping"
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run this in the root of the project") from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
    raise InputError(f"{path} cannot be read: {reason}; restore it from git")


def _paths(stage: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """Paths below `keys`: entries are a path, or a path with options."""
    entries = [one for key in keys for one in stage.get(key, [])]
    return tuple(str(next(iter(one))) if isinstance(one, dict) else str(one) for one in entries)


def _reads(deps: Sequence[str], outs: Sequence[str]) -> bool:
    """Whether a dependency is an output, lies in one, or holds one."""
    return any(dep == out or _below(dep, out) or _below(out, dep) for dep in deps for out in outs)


def _below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/")


def _digests(entries: Any) -> dict[str, str]:
    rows = entries if isinstance(entries, list) else []
    return {str(one["path"]): str(one.get("md5", "")) for one in rows if isinstance(one, dict) and "path" in one}
