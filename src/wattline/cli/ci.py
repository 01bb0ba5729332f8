"""Verbs of a GitLab job."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What jobs of the GitLab pipeline do.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """What jobs of the GitLab pipeline do."""


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
