"""Verbs of energy: which meters there are, and what one model costs beside another."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Energy: meters, and the paired test.", no_args_is_help=True, rich_markup_mode=None)

Model = Annotated[str, typer.Argument(help="a folder with a candidate, a registered version's number, or its alias")]


@app.callback()
def group() -> None:
    """Keep the verbs below `energy`, even where there is only one."""


@app.command()
def compare(
    candidate: Model,
    baseline: Model,
    to: Annotated[Path, typer.Option(help="write the result with all samples as JSON here")] = Path(
        "reports/energy_compare.json"
    ),
) -> None:
    """Find out whether CANDIDATE costs more than BASELINE: PASS (0), FAIL (1) or REFUSE (3)."""
    from wattline import files, params
    from wattline.measuring import report
    from wattline.measuring.comparing import compare as run
    from wattline.proof.writing import writing
    from wattline.registry.fetching import model_folder

    loaded = params.load()
    with model_folder(candidate, loaded) as first, model_folder(baseline, loaded) as second:
        comparison = run(first, second, loaded)
    with writing(to):
        files.write_text(to, comparison.to_json())
    typer.echo("\n".join(report.lines(comparison)))
    raise typer.Exit(report.EXIT_CODES[comparison.judgement.outcome])
