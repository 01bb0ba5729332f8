"""Verbs of what DVC keeps: hold it against its records, and send it."""

from typing import Annotated

import typer

app = typer.Typer()
group = typer.Typer(help="What DVC keeps, held against its records.", no_args_is_help=True, rich_markup_mode=None)

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="[STAGE|PATH]...", help="default: everything on record", show_default=False),
]


@group.callback()
def data() -> None:
    """What DVC keeps, held against its records."""


@group.command()
def verify(
    targets: Targets = None,
    remote: Annotated[str | None, typer.Option(help="what this remote has, instead of files and cache here")] = None,
) -> None:
    """Hash every byte that dvc.lock and .dvc files tell of, and name what is not as recorded."""
    from wattline.remotes import verifying
    from wattline.settings import settings

    found = verifying.verify(targets or [], settings(), remote=remote)
    typer.echo("\n".join(found.lines()))
    raise typer.Exit(1 if found.problems else 0)


@app.command()
def push(
    targets: Targets = None,
    remote: Annotated[str | None, typer.Option(help="default: DVC's default remote")] = None,
) -> None:
    """Verify what DVC has on record, send it to a remote, and see that it arrived."""
    from wattline.gitlab import fork
    from wattline.remotes import pushing
    from wattline.settings import settings

    fork.refuse("push")
    pushing.push(targets or [], settings(), remote=remote, say=typer.echo)
