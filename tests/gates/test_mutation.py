"""No gate can be changed in one place without a case noticing: an operator, a negation, a constant."""

import ast
from pathlib import Path

import pytest

from wattline import gates

from .cases import Case
from .mutants import Mutant, mutants
from .test_cases import TABLES

FOLDER = Path(gates.__file__).parent


def source(name: str) -> Path:
    """The file of a module that has a table."""
    return FOLDER / ("__init__.py" if name == gates.__name__ else f"{name.rpartition('.')[2]}.py")


def survives(mutant: Mutant, name: str, cases: tuple[Case, ...]) -> bool:
    """Whether a mutant answers every case as the original does."""
    try:
        module = mutant.load(name, source(name))
        return not any(case.broken_by(module) for case in cases)
    except Exception:  # a crash is noticed too, whatever it is
        return False


@pytest.mark.parametrize("name", TABLES)
def test_every_mutant_is_killed(name):
    survivors = [
        f"{source(name)}:{mutant.line}: {mutant.change}"
        for mutant in mutants(source(name))
        if survives(mutant, name, TABLES[name])
    ]
    assert not survivors, "\n".join(survivors)


@pytest.mark.parametrize("name", TABLES)
def test_an_unchanged_copy_survives(name):
    """Otherwise a broken harness would kill everything, and the test above would prove nothing."""
    assert survives(Mutant(0, "nothing", ast.parse(source(name).read_text())), name, TABLES[name])


def test_every_file_of_the_gates_has_a_table():
    assert {source(name) for name in TABLES} == set(FOLDER.glob("*.py"))


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("a < b", {"Lt -> LtE", "Lt -> Gt", "Lt -> GtE", "Lt -> Eq", "Lt -> NotEq"}),
        ("a is None", {"Is -> IsNot"}),
        ("a and b", {"And -> Or"}),
        ("not a", {"not a -> a"}),
        ("f(x, not a)", {"not a -> a"}),
        ("a == 'x'", {"Eq -> NotEq", "'x' -> 'x?'"}),
        ("a in ('x', 'y')", {"In -> NotIn", "('x', 'y') -> ('?', 'y')", "('x', 'y') -> ('x', '?')"}),
        ("f(-1)", {"USub -> UAdd", "1 -> 2", "1 -> 0"}),
        ("a if b else c", {"b -> not b"}),
        ("f(True)", {"True -> False"}),
        ("a * b", {"Mult -> Div"}),
        ('"text"', set()),
    ],
)
def test_mutants_cover_what_a_slip_of_the_pen_can_change(tmp_path, code, changes):
    path = tmp_path / "code.py"
    path.write_text(code)
    assert {mutant.change for mutant in mutants(path)} == changes
