"""Mutants of a module: copies of it with one operator or constant changed, kept in memory."""

import ast
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    **{kind: tuple(other for other in (*ORDER, ast.Eq, ast.NotEq) if other is not kind) for kind in ORDER},
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.USub: (ast.UAdd,),
}


class Mutant(NamedTuple):
    """A changed module: where, what, and its tree."""

    line: int
    change: str
    tree: ast.Module

    def load(self, name: str, path: Path) -> ModuleType:
        """Execute it as a module of its own; the real one stays as it is."""
        module = ModuleType(name)
        module.__file__ = str(path)
        exec(compile(ast.fix_missing_locations(self.tree), str(path), "exec"), module.__dict__)
        return module


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a source file that differs from it in one place."""
    original = ast.parse(path.read_text())
    for index, node in enumerate(ast.walk(original)):
        for field, place, new in _changes(node):
            tree = deepcopy(original)
            twin = next(other for position, other in enumerate(ast.walk(tree)) if position == index)
            old = getattr(twin, field) if place is None else getattr(twin, field)[place]
            if place is None:
                setattr(twin, field, new)
            else:
                getattr(twin, field)[place] = new
            yield Mutant(getattr(node, "lineno", 0), f"{_text(old)} -> {_text(new)}", tree)


def _changes(node: ast.AST) -> Iterator[tuple[str, int | None, object]]:
    """Field, position in it (None where it is no list) and new content, for each single change of `node`."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            yield from (("ops", place, swap()) for swap in SWAPS[type(operator)])
        yield from _changed_words(node)
    elif isinstance(node, ast.BoolOp | ast.BinOp | ast.UnaryOp) and type(node.op) in SWAPS:
        yield from (("op", None, swap()) for swap in SWAPS[type(node.op)])
    elif isinstance(node, ast.IfExp):
        yield "test", None, ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "value", None, not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (("value", None, node.value + step) for step in (1, -1))
    yield from _without_negation(node)


def _changed_words(node: ast.Compare) -> Iterator[tuple[str, int | None, object]]:
    """A word that something is compared with, alone or in a tuple, becomes another."""
    for place, comparator in enumerate(node.comparators):
        if isinstance(comparator, ast.Constant) and isinstance(comparator.value, str):
            yield "comparators", place, ast.Constant(comparator.value + "?")
        if isinstance(comparator, ast.Tuple):
            for changed in range(len(comparator.elts)):
                twin = deepcopy(comparator)
                twin.elts[changed] = ast.Constant("?")
                yield "comparators", place, twin


def _without_negation(node: ast.AST) -> Iterator[tuple[str, int | None, object]]:
    for field, content in ast.iter_fields(node):
        for place, child in enumerate(content) if isinstance(content, list) else [(None, content)]:
            if isinstance(child, ast.UnaryOp) and isinstance(child.op, ast.Not):
                yield field, place, child.operand


def _text(content: object) -> str:
    if isinstance(content, ast.expr):
        return ast.unparse(content)
    return type(content).__name__ if isinstance(content, ast.AST) else repr(content)
