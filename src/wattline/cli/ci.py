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
    from wattline.gitlab import fork
    from wattline.gitlab import lock as job
    from wattline.settings import settings

    fork.refuse("ci lock")
    job.lock(settings(), say=typer.echo)


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
    from wattline.gitlab import fork
    from wattline.settings import settings

    fork.refuse("ci release")
    done = publishing.release(params.load(), settings())
    typer.echo(f"released: {done.label} as {done.tag}; {len(done.uploaded)} files sent, {len(done.kept)} were there")
    typer.echo(f"release of {done.tag} in GitLab: {done.made}")


@app.command()
def doctor(
    pipeline: Annotated[str | None, typer.Option(help="its kind; default: that of this job")] = None,
    json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
) -> None:
    """Check every variable, token and setting that this pipeline needs, and say what lacks."""
    from wattline.gitlab.doctor import examine
    from wattline.settings import settings

    report = examine(settings(), kind=pipeline)
    typer.echo(report.to_json() if json else "\n".join(report.lines()), nl=not json)
    raise typer.Exit(report.exit_code)


@app.command()
def login() -> None:
    """Fetch secrets from Vault into files, and print the script that exports them (to be sourced)."""
    from wattline.gitlab import vault
    from wattline.settings import settings

    done = vault.login(settings())
    if done.script == vault.NOTHING:
        typer.echo("login: WATTLINE_VAULT_ROLE is not set; secrets are CI/CD variables", err=True)
    else:
        typer.echo(f"login: {len(done.names)} secrets for {done.seconds} s: {', '.join(done.names)}", err=True)
    typer.echo(done.script)


@app.command()
def logout() -> None:
    """Revoke the token that Vault lent this job, and remove what was fetched."""
    from wattline.gitlab import vault
    from wattline.settings import settings

    typer.echo(f"logout: {'token revoked, files removed' if vault.logout(settings()) else 'nothing to do'}")


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
