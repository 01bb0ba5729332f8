"""The verb that holds a new dataset or snapshot against the rows that a model was trained on."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Place = Annotated[
    str,
    typer.Option(help="a folder (data/raw, data/prepared, a snapshot), a snapshot's id, or the name of its dataset"),
]
Instant = Annotated[datetime | None, typer.Option(help="UTC")]


@app.command()
def drift(
    *,
    current: Place,
    reference: Place = "data/prepared",
    columns: Annotated[
        str, typer.Option(help="names with commas between them; default: all, which both must have")
    ] = "",
    reference_from: Instant = None,
    reference_to: Instant = None,
    current_from: Instant = None,
    current_to: Instant = None,
    to: Annotated[Path, typer.Option(help="folder for drift.json and index.html")] = Path("reports/drift"),
) -> None:
    """Did CURRENT drift away from REFERENCE? No (0), yes (1), or too few rows to tell (3)."""
    from wattline import params
    from wattline.drift import datasets, folders, report

    loaded = params.load()
    spans = (
        folders.Span(_utc(reference_from), _utc(reference_to)),
        folders.Span(_utc(current_from), _utc(current_to)),
    )
    compared = datasets.compare(
        folders.find(reference),
        folders.find(current),
        loaded.monitoring.drift,
        seed=loaded.seed,
        columns=[name.strip() for name in columns.split(",") if name.strip()],
        spans=spans,
    )
    report.write(compared, folder=to)
    typer.echo("\n".join([*report.lines(compared.found), f"page         {to / report.PAGE}"]))
    raise typer.Exit(report.EXIT_CODES[compared.found.outcome])


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
