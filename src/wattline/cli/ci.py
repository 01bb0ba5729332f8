"""Verbs of a GitLab job."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What jobs of the GitLab pipeline do.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """What jobs of the GitLab pipeline do."""


@app.command()
def reports(
    stages: Annotated[list[str] | None, typer.Argument(help="that should have run; default: all")] = None,
    to: Annotated[Path, typer.Option(help="folder to write to")] = Path("reports/ci"),
) -> None:
    """Write what GitLab shows of a run, also of one that failed: tests, metrics, variables, bills of materials."""
    from wattline import params
    from wattline.gitlab import reports as written
    from wattline.settings import settings

    task = params.load().task.name
    found = written.write(to, task=task, wanted=stages or (), job_status=settings().ci_job_status)
    for problem in found.problems:
        typer.echo(problem, err=True)
    typer.echo(f"reports: {len(found.reports) - len(found.problems)} of {len(found.reports)} are of this run, in {to}/")
