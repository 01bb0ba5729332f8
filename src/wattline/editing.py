"""params.yaml changed by a program: comments and order stay, and what would not be valid is not written."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from wattline import files, params


def read(path: Path = params.FILE) -> Any:
    """params.yaml as a tree that remembers its comments."""
    return _yaml().load(path.read_text())


def text(tree: Any) -> str:
    """A tree that `read` gave, as YAML."""
    stream = StringIO()
    _yaml().dump(tree, stream)
    return stream.getvalue()


def update(section: Any, values: Mapping[str, Any]) -> None:
    """Set `values` in a section of the tree; of a nested section, what is named alone."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(section.get(key), Mapping):
            update(section[key], value)
        else:
            section[key] = value


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overrides`; of a nested mapping, what is named alone is replaced."""
    result = dict(base)
    for key, value in overrides.items():
        former = result.get(key)
        both = isinstance(value, Mapping) and isinstance(former, Mapping)
        result[key] = merged(former or {}, value) if both else value
    return result


def replace_checked(path: Path, content: str) -> None:
    """Replace params.yaml by `content` if it is valid. Raises InputError and changes nothing otherwise."""
    draft = path.with_name(f".{path.name}.draft")
    files.write_text(draft, content)
    try:
        loaded = params.load(draft)
        task = params.load_task(loaded.task)
        params.typed(task.options, loaded.block.train, where=f"{path}: {loaded.task.name}.train")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 200
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml
