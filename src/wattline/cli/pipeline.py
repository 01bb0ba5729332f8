"""Verbs of the pipeline: one stage, its card, its decision, everything once."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def run(
    stage: Annotated[str, typer.Argument(help="a stage of dvc.yaml, e.g. train")],
    site: Annotated[str | None, typer.Option(help="where: a profile of deploy/sites; WATTLINE_SITE or local")] = None,
    attach: Annotated[bool, typer.Option("--attach", help="follow its job that was submitted before")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="cancel its job, and wait for its end")] = False,
    keep: Annotated[Path | None, typer.Option(help="keep what it writes there, too", hidden=True)] = None,
) -> None:
    """Run one stage of the pipeline, here or as a job of the site's scheduler."""
    from wattline.hpc import running

    running.ask(stage, site, attach=attach, cancel=cancel, keep=keep)


@app.command()
def card(
    check: Annotated[bool, typer.Option("--check", help="fail when the card is stale, write nothing")] = False,
) -> None:
    """Write the model card, or check that it says what the reports say."""
    from wattline import params, stages
    from wattline.stages import card as stage

    if not check:
        stages.run("card")
        return
    loaded = params.load()
    stage.check(card=loaded.block.card, task=params.load_task(loaded.task))


@app.command()
def features(
    as_of: Annotated[str, typer.Option("--as-of", help="an instant, e.g. 2026-01-05T12:00:00Z")],
    unit: Annotated[list[str] | None, typer.Option(help="one of data/raw; all, where none is given")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="rows; as many as the candidate wants")] = None,
    out: Annotated[Path | None, typer.Option(help="a Parquet file; JSON lines on the terminal otherwise")] = None,
) -> None:
    """Give what a model would have been given at an instant: nothing observed then or later is in it."""
    from wattline.features import report

    report.run(as_of, units=unit or [], steps=steps, out=out, say=typer.echo)


@app.command()
def decision() -> None:
    """Print the decision on the candidate, one line for each gate."""
    from wattline import files
    from wattline.gates import report
    from wattline.records import Decision

    typer.echo("\n".join(report.lines(files.read_report("decide", Decision))))


@app.command()
def bakeoff(
    check: Annotated[bool, typer.Option("--check", help="choose again from the report alone, run nothing")] = False,
    write: Annotated[bool, typer.Option("--write", help="write the chosen options into params.yaml")] = False,
) -> None:
    """Run the models of params.yaml side by side, and choose one by the rule there."""
    from wattline.bakeoff import running, writing

    if not check:
        running.run(write=write, say=typer.echo)
        return
    typer.echo(f"chosen       {writing.check().choice.reason}")


@app.command()
def demo(
    source: Annotated[str | None, typer.Option(help="set ingest.source of the task first, e.g. smd")] = None,
) -> None:
    """Run everything once: pipeline, registry, promotion, server, one prediction."""
    from wattline import demonstration

    demonstration.run(source)
