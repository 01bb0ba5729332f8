"""Verbs of the server: serve, and keys of who may ask it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def serve(
    folder: Annotated[Path, typer.Option(help="where the champion lies")] = Path("champion"),
    challenger: Annotated[Path | None, typer.Option(help="where a version to try lies; see serving.canary")] = None,
    host: Annotated[str | None, typer.Option(help="default: serving.host")] = None,
    port: Annotated[int | None, typer.Option(help="default: serving.port; 0 for any free one")] = None,
) -> None:
    """Serve the champion."""
    from wattline import params, settings
    from wattline.serving import server
    from wattline.serving.job import Job

    loaded = params.load()
    chosen = {"host": host, "port": port}
    knobs = loaded.serving.model_copy(update={name: value for name, value in chosen.items() if value is not None})
    server.serve(
        Job(
            params=knobs,
            model=loaded.model,
            folder=folder,
            challenger=challenger,
            state=settings.settings().state,
            watts_per_core=loaded.block.energy.watts_per_core,
        )
    )


@app.command()
def apikey(
    name: Annotated[str, typer.Argument(help="who will use it")],
    role: Annotated[list[str], typer.Option(help="predict, feedback, operate or audit; may be repeated")],
) -> None:
    """Make an API key for the server: shown once, kept as a hash."""
    from wattline import params
    from wattline.serving.access import keys

    key, entry = keys.new_key(name, role)
    path = Path(params.load().serving.auth.keys_file)
    keys.add_key(path, entry)
    typer.echo(key)
    typer.echo(f"its hash is in {path}; nobody can show the key again", err=True)
