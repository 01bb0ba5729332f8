"""Which notebooks there are, and where what comes out of them goes."""

from pathlib import Path
from typing import TYPE_CHECKING

from wattline import files
from wattline.errors import InputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = Path("notebooks")
EXECUTED = files.REPORTS / "notebooks"


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Every notebook of the project."""
    return tuple(sorted(path.stem for path in folder.glob("*.ipynb")))


def path(name: str, folder: Path = FOLDER) -> Path:
    """Where the notebook `name` lies. Raises InputError naming those that there are."""
    if name not in names(folder):
        known = ", ".join(names(folder)) or f"none; run this in the project's root, which holds {folder}/"
        raise InputError(f"there is no notebook {name!r}; notebooks: {known}")
    return folder / f"{name}.ipynb"


def read(path: Path) -> "NotebookNode":
    """The notebook in a file, in the newest format. Raises InputError when it is none, or one of another language."""
    import nbformat

    try:
        found = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(found)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, ValueError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no notebook: {reason}; open and save it in Jupyter") from None
    language = found.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise InputError(f"{path} is in {language}; only Python runs here")
    return found
