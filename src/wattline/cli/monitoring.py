"""Verbs that look at production."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def monitor(
    rows: Annotated[Path | None, typer.Option(help="folder of new raw rows; default: what the server wrote")] = None,
    since: Annotated[datetime | None, typer.Option(help="UTC; default: where the last look ended")] = None,
    reference: Annotated[Path, typer.Option(help="prepared rows of the champion")] = Path("data/prepared"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="open nothing, say what would be opened")] = False,
) -> None:
    """Look at drift, labels and energy in production, and open a retraining when the rule asks for one."""
    from wattline import params
    from wattline.monitoring import look, report
    from wattline.settings import settings

    start = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    options = look.Options(rows=rows, since=start, reference=reference, dry_run=dry_run)
    found = look.run(params.load(), settings(), options)
    if found is None:
        typer.echo("monitor: there is no champion yet, so nothing was looked at")
        return
    typer.echo("\n".join(report.lines(found)))
