"""One notebook, here or as a job: run, and its executed copy kept whatever became of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wattline import files, params, sites, splits
from wattline.interruption import Say
from wattline.notebooks import canonical, catalogue, page, parameters
from wattline.notebooks.executing import CellError, execute
from wattline.notebooks.parameters import Value
from wattline.notebooks.results import CURVES

if TYPE_CHECKING:
    from nbformat import NotebookNode


def run(name: str, pairs: Sequence[str], *, site: str | None, say: Say) -> None:
    """Run the notebook `name` and leave reports/notebooks/<name>.ipynb and .html.

    pairs: its parameters, as KEY=VALUE
    site: whose scheduler runs it as a job; here where it is None, or has none
    Raises InputError for a name or parameter that is not known, WattlineError naming the cell that failed.
    """
    path = catalogue.path(name)
    values = parameters.given(pairs, parameters.declared(catalogue.read(path), path=path), path=path)
    if site not in (None, sites.LOCAL) and sites.load(site).scheduler != "local":
        _submit(name, pairs, site, say)
        return
    copy, read = _outputs(name)
    try:
        executed = execute(path, values, limits=params.load().notebooks)
    except CellError as error:
        _keep(name, error.executed, values)
        raise CellError(f"{error}; the executed copy is {copy}", error.executed) from None
    _keep(name, executed, values)
    say(f"notebook     {copy}, and as a page {read}")


def _submit(name: str, pairs: Sequence[str], site: str, say: Say) -> None:
    from wattline.hpc import running

    given = [word for pair in pairs for word in ("-p", pair)]
    command = ["wattline", "notebook", name, *given, "--site", sites.LOCAL]
    running.run_command(f"notebook-{name}", command, site, inputs=_inputs(name), outputs=_outputs(name), say=say)


def _inputs(name: str) -> list[Path]:
    """What tells one run from another: the notebook, the identity of all raw rows, the candidate, and every report."""
    found = [catalogue.path(name), files.RAW / splits.DATASET, files.CANDIDATE / "candidate.json", CURVES]
    found += sorted(files.REPORTS.glob("*.json"))
    return [path for path in found if path.is_file()]


def _outputs(name: str) -> tuple[Path, Path]:
    return catalogue.EXECUTED / f"{name}.ipynb", catalogue.EXECUTED / f"{name}.html"


def _keep(name: str, executed: "NotebookNode", values: Mapping[str, Value]) -> None:
    copy, read = _outputs(name)
    files.write_text(copy, canonical.executed(executed, values))
    files.write_text(read, page.render(executed, title=name))
