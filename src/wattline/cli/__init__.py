"""The command line: verbs to functions. Errors become one line and an exit code."""

import sys

import typer

from wattline.cli import (
    ci,
    data,
    deployment,
    drift,
    energy,
    jobs,
    live,
    monitoring,
    notebooks,
    pipeline,
    publishing,
    registry,
    server,
    site,
    snapshot,
    staging,
    sweep,
)
from wattline.errors import WattlineError

app = typer.Typer(
    help="From telemetry to a judged, measured and served model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich costs 0.1 s at every start
)
for part in (
    pipeline.app,
    registry.app,
    data.app,
    server.app,
    deployment.app,
    monitoring.app,
    drift.app,
    notebooks.app,
    live.app,
    publishing.app,
    staging.app,
    sweep.app,
):
    app.add_typer(part)
app.add_typer(data.group, name="data")
app.add_typer(energy.app, name="energy")
app.add_typer(jobs.app, name="jobs")
app.add_typer(site.app, name="site")
app.add_typer(snapshot.app, name="snapshot")
ci.app.add_typer(deployment.jobs)
app.add_typer(ci.app, name="ci")
for name, group in registry.GROUPS.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Entry point of `wattline`."""
    try:
        app()
    except WattlineError as error:
        print(f"wattline: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"wattline: {error}; look at the disk and at who may write there", file=sys.stderr)  # noqa: T201
        sys.exit(1)
