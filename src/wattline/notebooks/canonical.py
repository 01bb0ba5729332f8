"""Notebooks without what differs from run to run, and without what came out, as git has them."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

INJECTED = "injected-parameters"
MARKER = "papermill-error-cell-tag"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def executed(notebook: "NotebookNode", parameters: Mapping[str, Any]) -> str:
    """An executed notebook as text: equal outputs give equal bytes.

    Without times, durations and random names of cells; with the parameters that were given.
    """
    import nbformat

    for place, cell in enumerate(notebook.cells):
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if {INJECTED, MARKER} & tags(cell):
            cell.id = f"papermill-{place}"
    language = notebook.metadata.get("language_info")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "wattline": {"parameters": dict(parameters)}})
    if language:
        notebook.metadata["language_info"] = language
    return str(nbformat.writes(notebook)) + "\n"


def cleared(notebook: "NotebookNode") -> str:
    """A notebook as git has it: what was written, without what came out."""
    import nbformat

    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": sorted(tags(cell))} if tags(cell) else {})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    return str(nbformat.writes(notebook)) + "\n"


def tags(cell: "NotebookNode") -> set[str]:
    return set(cell.metadata.get("tags", ()))


def written(cells: Iterable["NotebookNode"]) -> "list[NotebookNode]":
    """The cells that a person wrote, without those that papermill put between them."""
    return [cell for cell in cells if not {INJECTED, MARKER} & tags(cell)]
