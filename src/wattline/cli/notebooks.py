"""Verb that runs a notebook."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def notebook(
    name: Annotated[str, typer.Argument(help="of notebooks/NAME.ipynb, e.g. exploration")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="KEY=VALUE, of the cell tagged `parameters`")
    ] = None,
    site: Annotated[str | None, typer.Option(help="run it as a job of this site; default: here")] = None,
) -> None:
    """Run a notebook from its first cell to its last, and keep what came out in reports/notebooks/."""
    from wattline.notebooks import running

    running.run(name, parameter or (), site=site, say=typer.echo)
