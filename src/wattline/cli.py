"""The command line: verbs to functions. Errors become one line and an exit code."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from wattline.errors import WattlineError

app = typer.Typer(
    help="From telemetry to a judged, measured and served model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich costs 0.1 s at every start
)
keys = typer.Typer(help="Keys that sign what is promoted.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keys, name="keys")


@app.command()
def run(stage: Annotated[str, typer.Argument(help="a stage of dvc.yaml, e.g. train")]) -> None:
    """Run one stage of the pipeline here."""
    from wattline import stages

    stages.run(stage)


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
def decision() -> None:
    """Print the decision on the candidate, one line for each gate."""
    from wattline import files
    from wattline.gates import report
    from wattline.records import Decision

    typer.echo("\n".join(report.lines(files.read_report("decide", Decision))))


@app.command()
def champion() -> None:
    """Fetch the champion's files into champion/, so that the candidate can be compared with it."""
    from wattline import files, params
    from wattline.registry import versions

    found = versions.fetch_champion(files.CHAMPION, name=params.load().model)
    typer.echo(f"champion: version {found.version}" if found.version else "champion: none yet")


@app.command()
def register() -> None:
    """Register the candidate, if it was accepted, as challenger."""
    from wattline import params
    from wattline.registry import versions

    name = params.load().model
    typer.echo(f"registered: {name} version {versions.register(name=name)} is challenger")


@app.command()
def promote(version: Annotated[str | None, typer.Option(help="default: the challenger")] = None) -> None:
    """Make the challenger the champion."""
    from wattline import params
    from wattline.registry import versions

    name = params.load().model
    typer.echo(f"promoted: {name} version {versions.promote(version, name=name)} is champion")


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


@app.command()
def ui(port: Annotated[int, typer.Option(help="where it listens on loopback")] = 5000) -> None:
    """Open the MLflow UI on the local store."""
    from wattline.registry import ui as page

    page.run(port=port)


@app.command()
def demo(
    source: Annotated[str | None, typer.Option(help="set ingest.source of the task first, e.g. smd")] = None,
) -> None:
    """Run everything once: pipeline, registry, promotion, server, one prediction."""
    from wattline import demonstration

    demonstration.run(source)


@keys.command("new")
def new_keys(
    folder: Annotated[Path | None, typer.Option(help="default: keys below WATTLINE_STATE, .wattline/keys")] = None,
) -> None:
    """Make both key pairs; with WATTLINE_SIGNING_PASSPHRASE set, the private halves are encrypted."""
    from wattline.signing import keys as pairs
    from wattline.signing import model_keys

    place = folder or pairs.default_folder()
    public = pairs.new(place)
    model_keys.new(place)
    typer.echo(f"private key: {place / pairs.PRIVATE} (keep it, it signs promotions)")
    typer.echo(f"public key: {place / pairs.PUBLIC} (for serving.model.trusted_keys)")
    typer.echo(f"key id: {public.id}")
    typer.echo(f"key for files: {place / model_keys.PRIVATE}, public half {place / model_keys.PUBLIC}")


def main() -> None:
    """Entry point of `wattline`."""
    try:
        app()
    except WattlineError as error:
        print(f"wattline: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
