"""Writes docs/params.md: every key of params.yaml with type, unit and meaning, as the code declares them.

python docs/params.py
"""

import importlib
import re
import sys
import types
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wattline.errors import InputError
from wattline.params import Block, Params
from wattline.sources.registry import MODULES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "params.md"
HEAD = """\
# params.yaml

Every key, as the code declares it; `python docs/params.py` writes this page. A key that is not here is an error, and so
is a value outside its range: `wattline run` names the key, the value and the rule. A stage is given the sections that
the signature of its `run` names and nothing else; `dvc.yaml` lists the same ones, so that a changed knob reruns the
stages that read it and no others.

`TASK` stands for the name of a task: one file may hold the blocks of several, and `task` says which one runs.
"""
BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "pattern": "matches", "min_length": "length >="}


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


def render() -> str:
    """The page as text. Raises InputError for a key that no docstring explains."""
    parts = [HEAD, "## Shared\n", *table(Params, "", leave_out=("block",))]
    for name, field in Block.model_fields.items():
        key = field.alias or name
        parts.append(f"\n## {key}\n")
        if key == "train":
            parts += list(training())
        elif section := section_of(field):
            if field.default is None:
                parts.append(f"`TASK.{key}` may be absent, or null. {explained(Block)[name].capitalize()}.\n")
            parts += table(section, f"TASK.{key}")
        else:
            parts.append(f"`TASK.{key}`: {explained(Block)[name]}.")
        if key == "ingest":
            parts += list(sources())
    return "\n".join(parts) + "\n"


def training() -> Iterator[str]:
    """Options of every task in this repository."""
    yield "Typed by the task itself."
    for folder, options in task_options().items():
        yield f"\n### Task in `{folder}`\n"
        yield from table(options, "TASK.train")


def sources() -> Iterator[str]:
    """Options of every source that comes with the platform."""
    tables: dict[str, list[str]] = {}
    for name, module in MODULES.items():
        rows = list(table(importlib.import_module(module).Options, "TASK.ingest.options.NAME"))
        tables.setdefault("\n".join(rows), []).append(name)
    for text, names in tables.items():
        yield f"\n### Source {' and '.join(f'`{name}`' for name in names)}\n"
        yield text.replace(".NAME.", f".{names[0]}." if len(names) == 1 else ".NAME.")


def task_options() -> dict[str, type[BaseModel]]:
    """Folder of each task in this repository -> the type of its `train` section."""
    found = {}
    for path in [ROOT / "src" / "project" / "task.py", *sorted(ROOT.glob("examples/*/task.py"))]:
        if str(path.parents[1]) not in sys.path:
            sys.path.insert(0, str(path.parents[1]))
        task = importlib.import_module(f"{path.parent.name}.task").TASK
        found[str(path.parent.relative_to(ROOT))] = task.options
    return found


def table(section: Any, prefix: str, *, leave_out: Sequence[str] = ()) -> Iterator[str]:
    """One row for each key, nested sections included."""
    yield "| key | type | unit | default | meaning |"
    yield "|---|---|---|---|---|"
    yield from rows(section, prefix, leave_out=leave_out)


def rows(section: type[BaseModel], prefix: str, *, leave_out: Sequence[str] = ()) -> Iterator[str]:
    """The rows alone. Raises InputError for a key that the section's docstring does not explain."""
    meanings = explained(section)
    for name, field in section.model_fields.items():
        key = f"{prefix}.{field.alias or name}".lstrip(".")
        if name in leave_out:
            continue
        if nested := section_of(field):
            if field.default is None:
                yield f"| `{key}` | section |  | none | {meanings[name]} |"
            yield from rows(nested, key)
            continue
        if name not in meanings:
            raise InputError(f"{key} is not explained; add a line `{name}: ...` to the docstring of {section.__name__}")
        meaning, unit = split_unit(meanings[name])
        cells = (f"`{key}`", spelled(field.annotation, field.metadata), unit, default(field), meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The type of a field that holds keys of its own, which may be absent; None for one that is a value."""
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next((one for one in get_args(kind) if one is not type(None)), None)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def explained(section: type[BaseModel]) -> dict[str, str]:
    """Key -> what the docstring says after `key:` (or `key, other:`), up to the next key or an empty line.

    A section that adds to another one explains what it adds; the other one has explained the rest.
    """
    names = "|".join(section.model_fields)
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        text = cleandoc(vars(kind).get("__doc__") or "")
        parts = re.split(rf"(?:^|(?<=\. ))((?:{names})(?:, (?:{names}))*): ", text, flags=re.M)
        for keys, meaning in zip(parts[1::2], parts[2::2], strict=True):
            first = " ".join(meaning.split("\n\n")[0].split()).rstrip(".")
            found |= dict.fromkeys(keys.split(", "), first)
    return found


def split_unit(meaning: str) -> tuple[str, str]:
    """Meaning and unit; the unit stands in brackets, wherever."""
    found = re.search(r" ?\[([^]]+)\]", meaning)
    if not found:
        return meaning, ""
    return meaning.replace(found.group(), ""), found.group(1)


def spelled(kind: Any, metadata: Sequence[Any]) -> str:
    """Type and range in words, e.g. "float > 0"."""
    limits = []
    for constraint in metadata:
        for name, sign in BOUNDS.items():
            limit = getattr(constraint, name, None)
            if limit is not None:
                limits.append(f"{sign} `{limit}`" if name == "pattern" else f"{sign} {limit}")
    return " ".join([type_name(kind), ", ".join(limits)]).strip()


def type_name(kind: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(one) for one in inner if one is not type(None))
    if origin is Annotated:
        return spelled(inner[0], [one for part in inner[1:] for one in getattr(part, "metadata", (part,))])
    if origin is tuple:
        return f"list of {type_name(inner[0])}"
    if origin is not None:
        return "mapping"
    name: str = kind.__name__
    return {"AwareDatetime": "instant with a time zone", "str": "text"}.get(name, name)


def default(field: FieldInfo) -> str:
    """What holds where the key is absent; "required" where it may not be."""
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), {}):
        return "none"
    return f"`{value}`"


if __name__ == "__main__":
    main()
