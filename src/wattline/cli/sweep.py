"""The verb `sweep`: trials of other options, compared on the validation part."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def sweep(
    *,
    site: Annotated[str | None, typer.Option(help="where: a profile of deploy/sites; WATTLINE_SITE or local")] = None,
    workers: Annotated[int | None, typer.Option(help="processes or jobs at once, instead of sweep.workers")] = None,
    write: Annotated[bool, typer.Option("--write", help="write better values into params.yaml")] = False,
    status: Annotated[bool, typer.Option("--status", help="tell how far it is, run nothing")] = False,
    worker: Annotated[bool, typer.Option("--worker", help="run trials of a study until none is left")] = False,
    study: Annotated[str | None, typer.Option(help="for --worker: which one; that of params.yaml")] = None,
    name: Annotated[str | None, typer.Option(help="for --worker: what it is called", hidden=True)] = None,
) -> None:
    """Train with other options, and find those that are best on the validation part."""
    from wattline.sweep import running

    running.ask(
        site=site,
        workers=workers,
        write=write,
        status_only=status,
        worker=worker,
        study=study,
        name=name,
        say=typer.echo,
    )
