"""Verb that sends predictions back to the monitoring system."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def publish(
    *,
    broker: Annotated[str, typer.Option(help="mqtt://HOST:1883, or mqtts://HOST:8883 with TLS")],
    org: Annotated[str, typer.Option(help="of the topics")],
    cluster: Annotated[str, typer.Option(help="of the topics")],
    plugin: Annotated[str, typer.Option(help="of the topics")] = "wattline_pub",
    answers: Annotated[
        Path | None, typer.Option(help="a server's log of answers; default: that of params.yaml")
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="instead, Parquet: unit, timestamp, a column a metric")] = None,
    since: Annotated[datetime | None, typer.Option(help="UTC; default: from the first on")] = None,
    until: Annotated[datetime | None, typer.Option(help="UTC, itself not included; default: to the last")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="key=value between chnl/data and the metric; repeatable")
    ] = None,
    patience: Annotated[float, typer.Option(help="how long the broker may take for an answer [s]", min=0.1)] = 30.0,
) -> None:
    """Send predictions to an MQTT broker under ExaMon's topics, and wait until it has acknowledged each."""
    from wattline import publishing
    from wattline.settings import settings

    first, last = (bound and (bound if bound.tzinfo else bound.replace(tzinfo=UTC)) for bound in (since, until))
    target = publishing.Target(broker, org, cluster, plugin, publishing.tags(tag or []), patience)
    found = publishing.found(answers=answers, scores=scores, since=first, until=last)
    count = publishing.publish(found, target, settings())
    typer.echo(f"published    {count} samples, each acknowledged by {target.place}")
