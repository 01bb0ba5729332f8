"""The energy report: what training, predictions and serving cost, how that was found out, and the test."""

from collections.abc import Iterator

from wattline.gitlab.reports.left import Left
from wattline.gitlab.site import html
from wattline.gitlab.site.figures import interval, number
from wattline.gitlab.site.html import Cell
from wattline.records import Decision, Energy, Measurement, TrainingEnergy

HEADS = ("activity", "energy", "95 % interval", "provenance", "read from", "included")


def sections(left: Left) -> list[str]:
    """All that this run says of energy; nothing where it says nothing."""
    measurement, training = left.current("measure", Measurement), left.current("train_energy", TrainingEnergy)
    rows = [_row(name, one) for name, one in _activities(measurement, training)]
    attempts = (
        [_row(f"attempt {one.number}, process {one.rank}", one.energy) for one in training.attempts] if training else []
    )
    return [
        part
        for part in (
            html.section("Energy of every activity", html.table("Energy of every activity", HEADS, rows))
            if rows
            else "",
            html.section(_attempts(training), html.table("Attempts", HEADS, attempts)) if len(attempts) > 1 else "",
            html.section("The energy test", _test(left.current("decide", Decision))),
            html.section("Emissions", _emissions(measurement)),
        )
        if part
    ]


def _activities(measurement: Measurement | None, training: TrainingEnergy | None) -> Iterator[tuple[str, Energy]]:
    if measurement is not None:
        yield "1,000 predictions, candidate", measurement.candidate.energy_per_1000
        if measurement.champion is not None:
            yield "1,000 predictions, champion", measurement.champion.energy_per_1000
        for name, one in measurement.baselines.items():
            yield f"1,000 predictions, baseline {name} in Python", one
        if measurement.serving is not None:
            yield "1,000 requests to /predict, real server", measurement.serving.per_1000_requests
            yield "1,000,000 samples to /observe, real server", measurement.serving.per_million_samples
    if training is not None:
        yield "training, lost attempts included", training.total


def _row(name: str, energy: Energy) -> list[Cell]:
    return [
        Cell(html.text(name).html, head=True),
        html.text(f"{number(energy.joules)} J", "number"),
        html.text(f"{interval(*energy.interval)} J", "number"),
        html.text(energy.provenance),
        html.text(energy.sensor, "reason"),
        html.text(energy.boundary, "reason"),
    ]


def _attempts(training: TrainingEnergy | None) -> str:
    return f"The training was begun {training.launches} times" if training is not None else ""


def _test(decision: Decision | None) -> str:
    found = decision.energy if decision is not None else None
    if found is None or found.test is None:
        return ""
    test = found.test
    against = f"champion version {found.champion}" if found.champion else "nothing: there is no champion yet"
    entries = [
        (
            "candidate / champion",
            number(test.ratio),
            f"interval {interval(*test.interval)}; at most {1 + found.margin:g}",
        ),
        ("control, one against itself", number(test.control_ratio), f"interval {interval(*test.control_interval)}"),
        (
            "pairs of blocks",
            str(test.blocks),
            f"the declared power asks for {test.blocks_needed or 'an unknown number'}",
        ),
    ]
    return html.paragraph(f"{test.outcome} against {against}. {test.reason}", "said") + html.figures(entries)


def _emissions(measurement: Measurement | None) -> str:
    if measurement is None or not measurement.emissions:
        return ""
    rows = (
        [
            Cell(html.text(one.unit).html, head=True),
            html.text(f"{number(one.total_grams)} gCO2e", "number"),
            html.text(f"{number(one.kwh)} kWh", "number"),
            html.text(one.provenance),
            html.text(
                f"{number(one.grid.grams_per_kwh)} gCO2e/kWh: {one.grid.source}, as of {one.grid.as_of}", "reason"
            ),
        ]
        for one in measurement.emissions
    )
    heads = ("for", "emissions", "energy", "provenance of the energy", "how the electricity was made")
    return html.table("Emissions", heads, rows)
