"""The verb that brings what nodes need to where they see it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("stage-in")
def stage_in(
    site: Annotated[str | None, typer.Option(help="default: WATTLINE_SITE")] = None,
    image: Annotated[Path | None, typer.Option(help="what docker/build_train.sh wrote")] = None,
) -> None:
    """Bring packages, data, the champion and DVC's cache to where nodes without internet see them."""
    from wattline.hpc import staging
    from wattline.settings import settings

    found = staging.stage_in(site or settings().site, archive=image, say=lambda line: typer.echo(line, err=True))
    typer.echo("\n".join(map(str, found)))
    if not all(one.ready for one in found):
        raise typer.Exit(1)
