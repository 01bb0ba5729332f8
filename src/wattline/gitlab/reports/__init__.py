"""What stages left, as reports that GitLab shows: tests, metrics, variables, bills of materials."""

from collections.abc import Sequence
from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.gitlab.reports import cases, dotenv, junit, metrics, openmetrics
from wattline.gitlab.reports.left import Left, left

__all__ = ["DEFAULT", "Left", "bills", "left", "write"]

DEFAULT = files.REPORTS / "ci"
GATES, METRICS, VARIABLES = "junit-gates.xml", "metrics.txt", "wattline.env"
BILLS = {"{}.cdx.json": "bom.cdx.json", "{}.sbom.cdx.json": "software.cdx.json"}
"""Bill that the card stage writes -> where GitLab reads it."""


def write(folder: Path, *, task: str, wanted: Sequence[str] = (), failure: str | None = None) -> Left:
    """Write every report that can be made to `folder`, whatever a failed run left; what it was made from.

    task: whose bills are handed on
    wanted: stages that should have run, with all that they rest on; default: every stage
    failure: how the job ended, such as "failed with exit code 2", where it did not end well
    Raises InputError when `folder` is a file, or dvc.yaml cannot be read.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder")
    found = left(wanted)
    lock = Path("dvc.lock")
    digest = files.sha256(lock) if lock.is_file() else None
    texts = {
        GATES: junit.render(cases.cases(found, failure=failure), name=f"wattline {task}"),
        METRICS: openmetrics.render(metrics.families(found)),
        VARIABLES: dotenv.render(dotenv.variables(found, lock_sha256=digest)),
    }
    for name, text in texts.items():
        files.write_text(folder / name, text)
    for name, source in bills(found, task).items():
        if source is None:
            (folder / name).unlink(missing_ok=True)  # of an earlier run
        else:
            files.write_bytes(folder / name, source.read_bytes())
    return found


def bills(found: Left, task: str) -> dict[str, Path | None]:
    """Name of a bill -> where it lies; None where this run made none."""
    made = any(one.name == "card" and not one.problem for one in found.reports)
    places = {name: files.CARDS / pattern.format(task) for pattern, name in BILLS.items()}
    return {name: place if made and place.is_file() else None for name, place in places.items()}
