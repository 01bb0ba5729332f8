"""Verbs of snapshots: take one, list them, show one, compare two."""

from typing import Annotated

import typer
from typer.core import TyperGroup


class Sources(TyperGroup):
    """A group whose first word is the name of a source unless it is a verb: `wattline snapshot SOURCE` takes one."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put the verb in front that is left out."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["take", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Sources,
    help="Snapshots: immutable rows, known by their digest. `wattline snapshot SOURCE` takes one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Text = Annotated[str, typer.Argument(help="beginning of an id, or the name of a dataset for its newest one")]


@app.callback()
def snapshot() -> None:
    """Snapshots: immutable rows, known by their digest. `wattline snapshot SOURCE` takes one."""


@app.command()
def take(
    source: Annotated[str, typer.Argument(help="a source, with its options in params.yaml: ingest.options.SOURCE")],
    *,
    start: Annotated[str | None, typer.Option("--from", help="first instant, e.g. 2026-03-01T00:00:00Z")] = None,
    end: Annotated[str | None, typer.Option("--to", help="instant after the last one; now by default")] = None,
    page_hours: Annotated[float | None, typer.Option(help="instead of snapshots.page_hours [h]")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="begin anew, do not merge onto the newest one")] = False,
    no_dvc: Annotated[bool, typer.Option("--no-dvc", help="do not add it to DVC")] = False,
) -> None:
    """Pull rows of SOURCE and store them, merged onto the newest snapshot of the dataset. `take` may be left out."""
    from wattline.snapshots import taking

    taking.ask(source, start=start, end=end, page_hours=page_hours, fresh=fresh, dvc=not no_dvc, say=typer.echo)


@app.command(name="list")
def list_() -> None:
    """List the snapshots, one in a line."""
    from wattline.snapshots import showing

    for line in showing.listed():
        typer.echo(line)


@app.command()
def show(which: Text) -> None:
    """Show one: span, units, rows, gaps, licence."""
    from wattline import partitions
    from wattline.snapshots import showing

    for line in showing.shown(partitions.find(which)):
        typer.echo(line)


@app.command()
def diff(first: Text, second: Text) -> None:
    """Tell which rows of each unit and day are added, changed or removed from FIRST to SECOND."""
    from wattline import partitions
    from wattline.snapshots import difference

    for line in difference.lines(partitions.find(first), partitions.find(second)):
        typer.echo(line)
