"""A notebook from its first cell to its last, by papermill."""

import logging
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wattline.errors import WattlineError
from wattline.interruption import ended_by_sigterm
from wattline.notebooks import canonical, catalogue
from wattline.notebooks.kernel import kernels
from wattline.notebooks.parameters import Value
from wattline.params import NotebookParams
from wattline.progress import progress

if TYPE_CHECKING:
    from nbformat import NotebookNode

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
LONGEST_REASON = 500


class CellError(WattlineError):
    """A cell failed.

    executed: the notebook as far as it came
    """

    def __init__(self, message: str, executed: "NotebookNode") -> None:
        super().__init__(message)
        self.executed = executed


def execute(path: Path, parameters: Mapping[str, Value], *, limits: NotebookParams) -> "NotebookNode":
    """Run every cell in this folder. Interrupted, no kernel stays.

    Raises CellError naming the cell and what was wrong with it.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    with tempfile.TemporaryDirectory() as folder, ended_by_sigterm():
        output = Path(folder) / path.name
        try:
            done = _executed(path, output, parameters, limits=limits)
            # papermill calls it a success when a cell leaves by `sys.exit()`, and runs none of those after it.
            if (error := _error(done.cells)) is None:
                return done
            raise _failed(path, done, f"{error.ename}: {error.evalue}")
        except CellError:
            raise
        except papermill.PapermillExecutionError as error:
            reason = f"{error.ename}: {error.evalue}"
        except CellTimeoutError:
            reason = f"it took longer than notebooks.cell_seconds in params.yaml, {limits.cell_seconds:g} s"
        except DeadKernelError:
            reason = "its Python died, as it does when memory runs out"
        except Exception as error:
            _end_as_interrupted(error)
            if not isinstance(error, RuntimeError):
                raise
            raise WattlineError(  # what a kernel that never answers is told by
                f"{path}: no Python could be started for it: {error}; look at the load of this machine, or raise "
                f"notebooks.start_seconds in params.yaml, now {limits.start_seconds:g} s"
            ) from None
        raise _failed(path, catalogue.read(output), reason)


def _executed(path: Path, output: Path, parameters: Mapping[str, Value], *, limits: NotebookParams) -> "NotebookNode":
    """What papermill makes of it. Raises what papermill and nbclient raise, with `output` as far as it came."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it has to say is in what it raises
    total = len(catalogue.read(path).cells)
    with kernels() as manager, progress(path.stem) as report:

        def begin(cell: "NotebookNode", cell_index: int) -> None:  # noqa: ARG001  # called by these names
            report(f"cell {cell_index + 1}", cell_index / total, {})

        return papermill.execute_notebook(
            path,
            output,
            parameters=dict(parameters),
            kernel_name=canonical.KERNEL["name"],
            language=canonical.KERNEL["language"],
            progress_bar=False,
            start_timeout=limits.start_seconds,
            execution_timeout=limits.cell_seconds,
            autosave_cell_every=0,
            coalesce_streams=True,
            kernel_manager_class=manager,
            shutdown_kernel="immediate",  # asked to end, it would talk about it on our terminal
            on_cell_start=begin,
        )


def _end_as_interrupted(error: BaseException) -> None:
    """Where a signal was what came first, and the kernel's end only failed in its course: go on with that signal."""
    before = error.__context__
    while before is not None:
        if isinstance(before, KeyboardInterrupt | SystemExit):
            raise before from None
        before = before.__context__


def _error(cells: "Iterable[NotebookNode]") -> "NotebookNode | None":
    """The first error that a cell ended with."""
    outputs = (one for cell in canonical.written(cells) for one in cell.get("outputs", ()))
    return next((one for one in outputs if one.output_type == "error"), None)


def _failed(path: Path, executed: "NotebookNode", reason: str) -> CellError:
    """Name the first cell with an error, or else the last one that began, counted as a person wrote them."""
    cells = canonical.written(executed.cells)
    begun = [place for place, cell in enumerate(cells, 1) if cell.metadata.get("papermill", {}).get("start_time")]
    wrong = [place for place, cell in enumerate(cells, 1) if _error([cell]) is not None]
    said = " ".join(COLOURS.sub("", reason).split())
    shown = said if len(said) <= LONGEST_REASON else f"{said[:LONGEST_REASON]} ..."
    return CellError(f"{path}: cell {(wrong or begun[-1:])[0]} of {len(cells)} failed: {shown}", executed)
