"""A pipeline as GitLab reads it: files included, inputs put in, `extends` and `!reference` resolved."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
KEYWORDS = frozenset(
    {"default", "include", "spec", "stages", "types", "variables", "workflow"}
    | {"after_script", "before_script", "cache", "image", "services"}
)
"""What is no job on the top level, and may not be the name of one."""
TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "array": list, "boolean": bool, "number": (int, float)}
PLACE = re.compile(r"\$\[\[ inputs\.(\w+) \]\]")


class BadPipelineError(ValueError):
    """GitLab would refuse the configuration."""


class Reference(tuple):
    """`!reference [job, key]`."""


class _Loader(yaml.SafeLoader):
    """YAML with GitLab's one tag, and without YAML 1.1's booleans `on` and `off`."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if first not in "oO" or tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_constructor("!reference", lambda loader, node: Reference(loader.construct_sequence(node)))


@dataclass(frozen=True)
class Pipeline:
    """What all files together say.

    jobs: name -> what stands there after `extends` and `!reference`, hidden ones left out
    raw: the top level as it was written, hidden jobs included
    """

    jobs: dict[str, dict[str, Any]]
    stages: list[str]
    workflow: dict[str, Any]
    variables: dict[str, str]
    raw: dict[str, Any]


def documents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs that the file declares, and what it says below."""
    found = list(yaml.load_all(path.read_text(encoding="utf-8"), _Loader))
    header = found.pop(0)["spec"].get("inputs", {}) if "spec" in found[0] else {}
    return header, found[0]


def read(path: Path, *, root: Path = ROOT) -> Pipeline:
    """The pipeline of this file and all that it includes from below `root`."""
    whole = _included(path, {}, root)
    names = [name for name in whole if name not in KEYWORDS and not name.startswith(".")]
    variables = {name: _value(entry) for name, entry in whole.get("variables", {}).items()}
    return Pipeline(
        jobs={name: _referenced(_extended(name, whole, ()), whole, ()) for name in names},
        stages=whole.get("stages", ["build", "test", "deploy"]),
        workflow=whole.get("workflow", {}),
        variables=variables,
        raw=whole,
    )


def _value(entry: Any) -> str:
    return str(entry["value"] if isinstance(entry, dict) else entry)


def _included(path: Path, inputs: dict[str, Any], root: Path) -> dict[str, Any]:
    """Included files first: what the including file says wins."""
    declared, content = documents(path)
    content = _filled(content, _checked(path, declared, inputs))
    whole: dict[str, Any] = {}
    for entry in content.pop("include", []):
        if set(entry) - {"local", "inputs"}:
            raise BadPipelineError(f"{path.name}: this test follows only include:local, got {entry}")
        target = root / entry["local"].lstrip("/")
        if not target.is_file():
            raise BadPipelineError(f"{path.name}: {entry['local']} does not exist")
        whole = merged(whole, _included(target, entry.get("inputs", {}), root))
    return merged(whole, content)


def _checked(path: Path, declared: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Each declared input with its value, of its type. Raises BadPipelineError otherwise."""
    unknown = set(inputs) - set(declared)
    if unknown:
        raise BadPipelineError(f"{path.name} knows no input {sorted(unknown)}")
    values = {}
    for name, entry in declared.items():
        if name not in inputs and "default" not in entry:
            raise BadPipelineError(f"{path.name} needs the input {name}")
        value = values[name] = inputs.get(name, entry.get("default"))
        if not isinstance(value, TYPES[entry.get("type", "string")]):
            raise BadPipelineError(f"{path.name}: input {name} must be of type {entry['type']}, got {value!r}")
        if "options" in entry and value not in entry["options"]:
            raise BadPipelineError(f"{path.name}: input {name} must be one of {entry['options']}, got {value!r}")
        if "regex" in entry and not re.search(entry["regex"], value):
            raise BadPipelineError(f"{path.name}: input {name} must match {entry['regex']}, got {value!r}")
    return values


def _filled(node: Any, inputs: dict[str, Any]) -> Any:
    """Places `$[[ inputs.NAME ]]` filled: one that stands alone keeps the type."""
    if isinstance(node, dict):
        return {key: _filled(value, inputs) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, inputs) for value in node]
    if not isinstance(node, str) or "$[[" not in node:
        return node
    alone = PLACE.fullmatch(node)
    try:
        return inputs[alone[1]] if alone else PLACE.sub(lambda found: str(inputs[found[1]]), node)
    except KeyError as error:
        raise BadPipelineError(f"{node!r}: no input {error} is declared") from None


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Mappings merge in depth; all else is replaced by what stands above."""
    result = dict(below)
    for key, value in above.items():
        deep = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if deep else value
    return result


def _extended(name: str, whole: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    if name in path:
        raise BadPipelineError(f"extends in a circle: {' > '.join((*path, name))}")
    if name not in whole:
        raise BadPipelineError(f"{path[-1]} extends {name}, which does not exist")
    own = dict(whole[name])
    bases = own.pop("extends", [])
    result: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        result = merged(result, _extended(base, whole, (*path, name)))
    return merged(result, own)


def _referenced(node: Any, whole: dict[str, Any], path: tuple[Reference, ...]) -> Any:
    if isinstance(node, dict):
        return {key: _referenced(value, whole, path) for key, value in node.items()}
    if isinstance(node, list):
        flat = []
        for value in node:
            found = _referenced(value, whole, path)
            flat += found if isinstance(value, Reference) and isinstance(found, list) else [found]
        return flat
    if not isinstance(node, Reference):
        return node
    if node in path:
        raise BadPipelineError(f"!reference in a circle: {list(node)}")
    found = whole
    for key in node:
        if not isinstance(found, dict) or key not in found:
            raise BadPipelineError(f"!reference {list(node)} leads nowhere")
        found = found[key]
    return _referenced(found, whole, (*path, node))
