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


@app.command()
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="stages of dvc.yaml; all of them by default")] = None,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="bring what the targets write here, too, where nothing had to run")
    ] = False,
) -> None:
    """Run what changed of the pipeline; the rest comes from what other jobs ran."""
    from wattline.gitlab import repro as job
    from wattline.settings import settings

    raise typer.Exit(job.repro(targets or [], settings(), outputs=outputs, say=typer.echo))


@app.command()
def nightly(
    environment: Annotated[str, typer.Option(help="auto, current or fresh: which packages it runs with")] = "auto",
    to: Annotated[Path, typer.Option(help="write the comparison as JSON here")] = Path("reports/ci/reproduce.json"),
) -> None:
    """Make the champion again, and compare every byte."""
    from wattline import params
    from wattline.monitoring import nightly as job
    from wattline.reproduction import Options
    from wattline.settings import settings

    options = params.typed(Options, {"environment": environment}, where="wattline ci nightly")
    result = job.run(params.load(), settings(), options, to=to, say=typer.echo)
    raise typer.Exit(0 if result is None else result.exit_code)


@app.command()
def note(
    preview: Annotated[Path | None, typer.Option(help="write the Markdown there and ask no GitLab")] = None,
    target: Annotated[str | None, typer.Option(help="branch to compare a preview with")] = None,
) -> None:
    """Write the note of this merge request: decision, gates, differences, energy, pictures."""
    from wattline.gitlab.note import job
    from wattline.settings import settings

    if preview is None:
        typer.echo(job.write(settings()))
    else:
        job.preview(settings(), preview, target=target)
        typer.echo(f"note: {preview}")
