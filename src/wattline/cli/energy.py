"""Verbs of energy: which meters there are, and what one model costs beside another."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from wattline.errors import InputError

app = typer.Typer(help="Energy: meters, and the paired test.", no_args_is_help=True, rich_markup_mode=None)

Model = Annotated[str, typer.Argument(help="a folder with a candidate, a registered version's number, or its alias")]


REFUSE = 3
"""Exit code where there is no answer that could be trusted."""


@app.callback()
def energy() -> None:
    """Energy: meters, and the paired test."""


@app.command()
def doctor(
    device: Annotated[str, typer.Option(help="what the work runs on: cpu, or cuda, whose GPUs are metered")] = "cpu",
) -> None:
    """Print which meters this machine has, whether they work, and why the others are out.

    Exits with 0 when the meter that params.yaml asks for works, and with 3 when it does not.
    """
    from wattline import params
    from wattline.energy.meters import doctor as examination

    chosen = _device(device)
    findings = examination.examine(params.load().block.energy, device=chosen)
    typer.echo("\n".join(examination.lines(findings)))
    if not findings.chosen.passed:
        raise typer.Exit(REFUSE)


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
    # First, because a file that cannot be written must not cost the answer of minutes.
    typer.echo("\n".join(report.lines(comparison)))
    with writing(to):
        files.write_text(to, comparison.to_json())
    raise typer.Exit(report.EXIT_CODES[comparison.judgement.outcome])


def _device(text: str) -> Literal["cpu", "cuda"]:
    if text == "cpu":
        return "cpu"
    if text == "cuda":
        return "cuda"
    raise InputError(f"--device must be cpu or cuda, got {text!r}")
