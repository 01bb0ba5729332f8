"""Every module behind the judgement keeps every promise of its table, and none can be changed without one noticing."""

import ast
import importlib
from pathlib import Path

import pytest
from gates.cases import Case
from gates.mutants import Mutant, mutants

from .tables import control, figures, judgement, observations, obstacles, readings, sequence

TABLES: dict[str, tuple[Case, ...]] = {
    f"wattline.energy.paired.{table.__name__.rpartition('.')[2]}": table.CASES
    for table in (control, figures, judgement, observations, obstacles, readings, sequence)
}
# Lines whose mutants behave alike, with the change.
EQUIVALENT = {
    # More or less certainty than certainty.
    ("CERTAIN = 30.0", "30.0 -> 31.0"),
    ("CERTAIN = 30.0", "30.0 -> 29.0"),
    # Of one block there is no standard deviation, and its chance is NaN.
    ("for blocks in range(2, MANY)", "2 -> 1"),
}


def survives(mutant: Mutant, name: str) -> bool:
    """Whether a mutant keeps every promise, as the original does."""
    path = Path(importlib.import_module(name).__file__ or "")
    try:
        module = mutant.load(name, path)
        return not any(case.broken_by(module) for case in TABLES[name])
    except Exception:  # a crash is noticed too, whatever it is
        return False


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name.rpartition('.')[2]}: {case.promise}")
        for name, cases in TABLES.items()
        for case in cases
    ],
)
def test_it_keeps_its_promise(name, case):
    assert not case.broken_by(importlib.import_module(name))


@pytest.mark.parametrize("name", TABLES)
def test_every_mutant_is_killed(name):
    path = Path(importlib.import_module(name).__file__ or "")
    lines = path.read_text().splitlines()
    survivors = [
        f"{path}:{mutant.line}: {mutant.change}"
        for mutant in mutants(path)
        if not any(code in lines[mutant.line - 1] and mutant.change == change for code, change in EQUIVALENT)
        and survives(mutant, name)
    ]
    assert not survivors, "\n".join(survivors)


@pytest.mark.parametrize("name", TABLES)
def test_an_unchanged_copy_survives(name):
    """Otherwise a broken harness would kill everything, and the test above would prove nothing."""
    path = Path(importlib.import_module(name).__file__ or "")
    assert survives(Mutant(0, "nothing", ast.parse(path.read_text())), name)
