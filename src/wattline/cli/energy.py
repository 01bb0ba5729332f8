"""Verbs of energy: which meters there are, and what one model costs beside another."""

from typing import Annotated, Literal

import typer

from wattline.errors import InputError

app = typer.Typer(help="Energy: meters, and the paired test.", no_args_is_help=True, rich_markup_mode=None)

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


def _device(text: str) -> Literal["cpu", "cuda"]:
    if text == "cpu":
        return "cpu"
    if text == "cuda":
        return "cuda"
    raise InputError(f"--device must be cpu or cuda, got {text!r}")
