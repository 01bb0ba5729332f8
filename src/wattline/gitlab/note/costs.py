"""Energy of training and of answering, each with where the figure comes from."""

from collections.abc import Iterator

from wattline.gitlab.note.escape import code, plain
from wattline.gitlab.note.figures import NONE, number, spent
from wattline.gitlab.note.known import Known
from wattline.gitlab.note.tables import folded, table
from wattline.records import Emissions, Energy


def energy(known: Known) -> str:
    """A table; what is not known has a row that says so."""
    rows = [*_training(known), *_answering(known)]
    said = ["### Energy", table(("What", "Energy", "Duration", "How it is known", "Sensor"), rows, right=(1, 2))]
    said.append(
        "In brackets: 95 % intervals. An estimate rests on a model of the hardware, a measurement on a counter."
    )
    measurement = known.now.measurement
    if measurement is not None:
        said += [_grams(emissions) for emissions in measurement.emissions]
        said.append(folded("What is inside the figures", _boundaries(known)))
    return "\n\n".join(said)


def _training(known: Known) -> Iterator[tuple[str, ...]]:
    training = known.now.training
    if training is None:
        yield "training", NONE, NONE, "not known", f"{code('reports/train_energy.json')} is missing or unreadable"
        return
    attempts = len(training.attempts)
    lost = sum(not attempt.finished for attempt in training.attempts)
    how = f"{attempts} attempt{'s' if attempts > 1 else ''}" + (f", {lost} of them interrupted" if lost else "")
    yield _row(f"training ({how})", training.total)


def _answering(known: Known) -> Iterator[tuple[str, ...]]:
    measurement = known.now.measurement
    if measurement is None:
        yield "inference", NONE, NONE, "not known", f"{code('reports/measure.json')} is missing or unreadable"
        return
    candidate = measurement.candidate
    yield _row(f"inference, 1,000 predictions in batches of {candidate.batch}", candidate.energy_per_1000)
    if measurement.champion is not None:
        yield _row("the same by the champion", measurement.champion.energy_per_1000)
    if measurement.serving is not None:
        yield _row("server, 1,000 requests over HTTP", measurement.serving.per_1000_requests)
        yield _row("server, a million samples one by one", measurement.serving.per_million_samples)


def _row(what: str, found: Energy) -> tuple[str, ...]:
    return what, spent(found), f"{number(found.seconds)} s", found.provenance, plain(found.sensor)


def _grams(found: Emissions) -> str:
    return (
        f"Emissions of {plain(found.unit)}: {number(found.total_grams)} gCO2e, computed from {number(found.kwh)} kWh "
        f"({found.provenance}) and {number(found.grid.grams_per_kwh)} gCO2e/kWh "
        f"({plain(found.grid.source)}, {found.grid.as_of})."
    )


def _boundaries(known: Known) -> str:
    found = {"training": known.now.training.total} if known.now.training else {}
    measurement = known.now.measurement
    if measurement is not None:
        found["inference"] = measurement.candidate.energy_per_1000
        if measurement.serving is not None:
            found["server"] = measurement.serving.per_1000_requests
        machine = [f"- machine: {plain(measurement.machine)}"]
    else:
        machine = []
    return "\n".join([*(f"- {what}: {plain(one.boundary)}" for what, one in found.items()), *machine])
