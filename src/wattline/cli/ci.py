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
    code: Annotated[int, typer.Option(help="exit code of what ran before")] = 0,
) -> None:
    """Write what GitLab shows of a run, also of one that failed: tests, metrics, variables, bills of materials."""
    from wattline.gitlab import reports as written
    from wattline.gitlab.subject import subject
    from wattline.settings import settings

    about = subject()
    failure = f"failed with exit code {code}" if code else settings().failed_status
    found = written.write(to, task=about.task, wanted=stages or (), failure=failure or about.problem)
    for problem in filter(None, (about.problem, *found.problems)):
        typer.echo(problem, err=True)
    typer.echo(f"reports: {len(found.reports) - len(found.problems)} of {len(found.reports)} are of this run, in {to}/")


@app.command()
def site(
    folder: Annotated[Path, typer.Argument(help="where GitLab Pages looks; replaced as a whole")] = Path("public"),
) -> None:
    """Write the report site: pages that need no network, also after a run that failed."""
    from wattline.gitlab import site as pages
    from wattline.gitlab.subject import subject
    from wattline.settings import settings

    about = subject(described=True)
    left = pages.write(folder, task=about.task, origin=pages.Origin.of_job(settings()), units=about.units)
    for problem in filter(None, (about.problem, *left.problems)):
        typer.echo(problem, err=True)
    typer.echo(f"site: {folder}/index.html, of {len(left.reports) - len(left.problems)} of {len(left.reports)} reports")


@app.command()
def release() -> None:
    """Publish the champion under the tag of this pipeline: files, digests and a GitLab release, once."""
    from wattline import params
    from wattline import release as publishing
    from wattline.settings import settings

    done = publishing.release(params.load(), settings())
    typer.echo(f"released: {done.label} as {done.tag}; {len(done.uploaded)} files sent, {len(done.kept)} were there")
    typer.echo(f"release of {done.tag} in GitLab: {done.made}")


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
