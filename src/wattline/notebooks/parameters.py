"""Parameters of a notebook: what its cell tagged `parameters` assigns, and what a person gives instead."""

import ast
import io
import math
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wattline.errors import InputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

Value = bool | int | float | str
TAG = "parameters"


class Parameter(NamedTuple):
    """One parameter.

    default: its value where nobody gives one; others must be of its kind
    explanation: the comment on its line
    """

    default: Value
    explanation: str


def declared(notebook: "NotebookNode", *, path: Path) -> dict[str, Parameter]:
    """Parameters by name. Raises InputError for a value that is no text, number, True or False.

    path: of the notebook, for messages
    """
    source = "\n".join(cell.source for cell in notebook.cells if TAG in cell.metadata.get("tags", ()))
    try:
        assigned = list(_assignments(ast.parse(source)))
    except (SyntaxError, ValueError):
        raise InputError(
            f"{path}: the cell tagged {TAG!r} must hold lines like  rows = 500  # a comment, and nothing else"
        ) from None
    comments = _comments(source)
    return {name: Parameter(value, comments.get(line, "")) for name, value, line in assigned}


def _assignments(tree: ast.Module) -> Iterator[tuple[str, Value, int]]:
    """Name, value and line of each; ValueError for what is none."""
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=node)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as node)
            ):
                value = ast.literal_eval(node)
            case _:
                raise ValueError("no assignment")
        if not isinstance(value, bool | int | float | str):
            raise ValueError("no value of a known kind")
        yield name, value, statement.lineno


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {one.start[0]: one.string.lstrip("# ") for one in tokens if one.type == tokenize.COMMENT}


def given(pairs: Sequence[str], known: Mapping[str, Parameter], *, path: Path) -> dict[str, Value]:
    """Values that a person gives as KEY=VALUE, typed like the defaults.

    Raises InputError naming the key, the value and what is known.
    """
    values: dict[str, Value] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise InputError(f"-p {pair}: write -p KEY=VALUE; {_told(known, path)}")
        if name not in known:
            raise InputError(f"-p {pair}: there is no parameter {name!r}; {_told(known, path)}")
        if name in values:
            raise InputError(f"-p {pair}: {name} is given twice; give it once")
        kind = type(known[name].default)
        value = KINDS[kind].parse(text)
        if value is None:
            raise InputError(f"-p {pair}: {name} must be {KINDS[kind].words}, got {text!r}; {_told(known, path)}")
        values[name] = value
    return values


def _told(known: Mapping[str, Parameter], path: Path) -> str:
    if not known:
        return f"{path} has no cell tagged {TAG!r}, so it takes none"
    told = [f"{name} ({KINDS[type(one.default)].words}, by default {one.default!r})" for name, one in known.items()]
    return f"{path} knows {', '.join(told)}"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class Kind(NamedTuple):
    """words: what a value of it is called; parse: gives None for a text that is none"""

    words: str
    parse: Callable[[str], Value | None]


KINDS: Mapping[type, Kind] = {
    bool: Kind("true or false", {"true": True, "false": False}.get),
    int: Kind("a whole number", lambda text: int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None),
    float: Kind("a number", _number),
    str: Kind("a text", str),
}
