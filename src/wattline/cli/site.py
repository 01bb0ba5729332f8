"""Verbs of sites: which there are, and whether one is ready."""

from typing import Annotated

import typer

app = typer.Typer(help="Where stages run: profiles in deploy/sites/.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Where stages run: profiles in deploy/sites/."""


@app.command(name="list")
def list_() -> None:
    """List the sites that have a profile."""
    from wattline.hpc.checks import report

    for line in report.listed():
        typer.echo(line)


@app.command()
def check(
    site: Annotated[str | None, typer.Argument(help="name of a profile; default: WATTLINE_SITE")] = None,
) -> None:
    """Say what a site's profile lacks here and on its cluster, and print the scripts that it would submit."""
    from wattline.hpc.checks import report
    from wattline.settings import settings

    raise typer.Exit(report.check(site or settings().site, say=typer.echo))
