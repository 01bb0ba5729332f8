"""Verb that scores a fleet as its samples arrive."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def live(
    model: Annotated[Path, typer.Option(help="folder of the model")] = Path("models/candidate"),
    seconds: Annotated[float | None, typer.Option(help="how long; until it is told to end", min=0.1)] = None,
) -> None:
    """Score every unit of ingest.options.mqtt at each row, and send the scores back to its broker."""
    from wattline import params
    from wattline.live import running
    from wattline.sources.mqtt.source import Options

    loaded = params.load()
    given = loaded.block.ingest.options.get("mqtt", {})
    options = params.typed(Options, given, where="params.yaml: ingest.options.mqtt")
    running.run(model, options, loaded.live, seconds=seconds, say=typer.echo)
