"""Verbs of a GitLab job."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What jobs of the GitLab pipeline do.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """What jobs of the GitLab pipeline do."""


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
