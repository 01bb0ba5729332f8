"""Verbs of a GitLab job."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What jobs of the GitLab pipeline do.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """What jobs of the GitLab pipeline do."""


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
def child(
    include: Annotated[
        str, typer.Option(help="the file of this repository with the templates of the jobs")
    ] = "/ci/dvc-stage.yml",
) -> None:
    """Print a child pipeline: one job for each stage of DVC that has to run, and one that collects."""
    from wattline.gitlab import child as job
    from wattline.settings import settings

    typer.echo(job.child(settings(), include=include, say=lambda line: typer.echo(line, err=True)), nl=False)


@app.command()
def lock() -> None:
    """Commit dvc.lock, reports and cards to the source branch of the merge request."""
    from wattline.gitlab import lock as job
    from wattline.settings import settings

    job.lock(settings(), say=typer.echo)


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
