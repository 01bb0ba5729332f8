"""Verbs of job tables: what jobs of a cluster consumed."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Jobs of a cluster, with power as it was sampled.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def jobs() -> None:
    """Jobs of a cluster, with power as it was sampled."""


@app.command()
def energy(
    table: Annotated[Path, typer.Argument(help="Parquet: a row a job, with its power as a list [W], as in PM100")],
    *,
    out: Annotated[Path | None, typer.Option(help="Parquet with a row a job; default: only the summary")] = None,
    power: Annotated[str, typer.Option(help="column with the lists [W]")] = "node_power_consumption",
    cadence: Annotated[float, typer.Option(help="of the lists [s]", min=0.001)] = 20.0,
    timezone: Annotated[str | None, typer.Option(help="of times without one, e.g. Europe/Rome")] = None,
    method: Annotated[Literal["trapezoid", "rectangle"], typer.Option(help="of integration")] = "trapezoid",
) -> None:
    """Integrate each job's power over its run time, and say what is missing."""
    from wattline.sources.jobs import energy as integration
    from wattline.sources.jobs.table import Form

    form = Form(power=power, cadence_seconds=cadence, timezone=timezone)
    summary = integration.run(table, form, method=method, out=out)
    typer.echo("\n".join(integration.lines(summary)))
