"""A small project whose rows were ingested, and notebooks made of a few lines."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nbformat
import pytest
import yaml

from wattline.notebooks import canonical
from wattline.params import IngestParams
from wattline.stages import ingest

ROOT = Path(__file__).parents[2]
CLUSTER = {"nodes": 3, "nodes_per_rack": 2, "days": 0.4}
SECONDS = 300.0


class Project:
    """A project's root, in which commands can be run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executed = folder / "reports" / "notebooks"
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)

    def write(self, name: str, *cells: str, parameters: str = "") -> None:
        """Make a notebook of these cells of code, below one with `parameters`."""
        made = [nbformat.v4.new_code_cell(cell, id=f"cell-{place}") for place, cell in enumerate([parameters, *cells])]
        made[0].metadata["tags"] = ["parameters"]
        text = canonical.cleared(nbformat.v4.new_notebook(cells=made))
        (self.folder / "notebooks" / f"{name}.ipynb").write_text(text)

    def limit(self, **limits: float) -> None:
        """Set knobs of the section `notebooks`."""
        path = self.folder / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        tree["notebooks"] |= limits
        path.write_text(yaml.safe_dump(tree, sort_keys=False))

    def start(self, *arguments: str, variables: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTLINE_")}
        environment |= {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(self.temporary), **(variables or {})}
        return subprocess.Popen(
            [sys.executable, "-m", "wattline", "notebook", *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Exit code, and the last line of what was said."""
        with self.start(*arguments, variables=variables) as process:
            out, err = process.communicate(timeout=SECONDS)
        assert "Traceback" not in err, err
        return process.returncode, ([*out.splitlines(), *err.splitlines()] or [""])[-1]

    def copy(self, name: str) -> nbformat.NotebookNode:
        return nbformat.read(self.executed / f"{name}.ipynb", as_version=4)


def printed(notebook: nbformat.NotebookNode) -> Sequence[str]:
    """What cells printed, cell by cell."""
    texts = [one.text for cell in notebook.cells for one in cell.get("outputs", ()) if one.output_type == "stream"]
    return [text.rstrip("\n") for text in texts]


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of three nodes. Copy them, do not change them."""
    folder = tmp_path_factory.mktemp("ingested")
    with contextlib.chdir(folder):
        ingest.run(ingest=IngestParams(source="simulator", options={"simulator": CLUSTER}), seed=7)
    return folder


@pytest.fixture
def project(ingested: Path, tmp_path: Path) -> Project:
    """A project in a folder of its own."""
    folder = tmp_path / "project"
    shutil.copytree(ingested, folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copy(ROOT / "params.yaml", folder)
    return Project(folder)


@pytest.fixture
def enter(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Project]:
    """Make it the working directory."""

    def into() -> Project:
        monkeypatch.chdir(project.folder)
        return project

    return into
