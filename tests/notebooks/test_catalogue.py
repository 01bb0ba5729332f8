"""The notebooks of the project: in git without outputs, with parameters, wired as stages of their own."""

import json
import runpy
from pathlib import Path

import pytest
import yaml

from wattline.errors import InputError
from wattline.notebooks import catalogue, parameters

ROOT = Path(__file__).parents[2]
CLEAR = ROOT / ".ci" / "clear_notebooks.py"
NAMES = catalogue.names(ROOT / "notebooks")
STAGES = yaml.safe_load((ROOT / "notebooks" / "dvc.yaml").read_text())["stages"]


@pytest.fixture
def clear(monkeypatch, capsys):
    """Run the check in a folder: its exit code, and what it said."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        code = runpy.run_path(str(CLEAR))["main"](list(arguments))
        return code, capsys.readouterr().out

    return run


def test_no_notebook_in_git_holds_an_output(clear):
    assert clear(ROOT) == (0, "")


def test_an_output_is_found_and_removed(project, clear):
    path = project.folder / "notebooks" / "results.ipynb"
    before = path.read_text()
    tree = json.loads(before)
    cell = next(cell for cell in tree["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["what nobody should see"]}]
    cell["execution_count"] = 3
    path.write_text(json.dumps(tree))
    code, said = clear(project.folder)
    assert code == 1
    assert "notebooks/results.ipynb" in said
    assert clear(project.folder, "--write") == (0, "")
    assert path.read_text() == before


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_a_stage_that_keeps_its_copy_and_explains_its_parameters(name):
    stage = STAGES[name]
    assert stage["cmd"] == f"wattline notebook {name}"
    assert [next(iter(one)) for one in stage["outs"]] == [
        f"reports/notebooks/{name}.{kind}" for kind in ("ipynb", "html")
    ]
    assert f"notebooks/{name}.ipynb" in stage["deps"]
    path = ROOT / "notebooks" / f"{name}.ipynb"
    declared = parameters.declared(catalogue.read(path), path=path)
    assert declared
    assert all(one.explanation for one in declared.values())


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("nothing", None, "there is no notebook 'nothing'; notebooks: exploration, results"),
        ("../results", None, "there is no notebook '../results'"),
        ("torn", '{"cells": [', "notebooks/torn.ipynb is no notebook"),
        ("other", '{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "other.ipynb is no notebook"),
        ("binary", "\x00\x01", "notebooks/binary.ipynb is no notebook"),
        (
            "julia",
            '{"cells": [], "metadata": {"kernelspec": {"name": "j", "display_name": "J", "language": "julia"}},'
            ' "nbformat": 4, "nbformat_minor": 5}',
            "is in julia; only Python runs here",
        ),
    ],
)
def test_what_is_no_notebook_is_refused_in_a_sentence(enter, name, content, complaint):
    enter()
    if content is not None:
        Path("notebooks", f"{name}.ipynb").write_text(content)
    with pytest.raises(InputError) as error:
        catalogue.read(catalogue.path(name))
    assert complaint in str(error.value).replace(f"{content}", "")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        (("rows=many",), "-p rows=many: rows must be a whole number, got 'many'"),
        (("rows=1.5",), "rows must be a whole number"),
        (("rows=1_000",), "rows must be a whole number"),
        (("share=nan",), "share must be a number, got 'nan'"),
        (("share=",), "share must be a number"),
        (("flag=yes",), "flag must be true or false, got 'yes'"),
        (("row=1",), "there is no parameter 'row'; here knows name (a text, by default 'x'), rows (a whole number"),
        (("rows",), "-p rows: write -p KEY=VALUE"),
        (("rows=1", "rows=2"), "rows is given twice"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_the_known_ones(pairs, complaint):
    known = {
        name: parameters.Parameter(one, "")
        for name, one in (("name", "x"), ("rows", 3), ("share", 0.5), ("flag", True))
    }
    with pytest.raises(InputError, match="-p ") as error:
        parameters.given(pairs, known, path=Path("here"))
    assert complaint in str(error.value)


@pytest.mark.parametrize("line", ["rows = 2 * 3", "rows = [1]", "import os", "rows = None", "rows =", "print(1)"])
def test_a_cell_of_parameters_holds_plain_values_and_nothing_else(project, line):
    project.write("odd", parameters=f"name = 'x'\n{line}")
    path = project.folder / "notebooks" / "odd.ipynb"
    with pytest.raises(InputError, match="must hold lines like"):
        parameters.declared(catalogue.read(path), path=path)
