"""What notebooks/results.ipynb asks of the reports: verdicts, scores, energy and curves of one candidate."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wattline import charts, files, params
from wattline.errors import InputError
from wattline.notebooks.show import Cell, Picture, Sentence, Table
from wattline.records import Candidate, Decision, Energy, Evaluation, Measurement, TrainingEnergy, worst_first
from wattline.stages.train import Training

CURVES = files.REPORTS / "train" / "curves.csv"


@dataclass(frozen=True)
class Results:
    """Reports that speak of one candidate.

    units: metric -> its unit, as the task describes it
    """

    candidate: Candidate
    decision: Decision
    evaluation: Evaluation
    measurement: Measurement
    training: Training
    spent: TrainingEnergy
    units: Mapping[str, str]


def read() -> Results:
    """Read the reports of the candidate. Raises InputError when one is absent, or speaks of another candidate."""
    found = Results(
        candidate=files.read_record(files.CANDIDATE / "candidate.json", Candidate),
        decision=files.read_report("decide", Decision),
        evaluation=files.read_report("evaluate", Evaluation),
        measurement=files.read_report("measure", Measurement),
        training=files.read_report("train", Training),
        spent=files.read_report("train_energy", TrainingEnergy),
        units={one.name: one.unit for one in params.load_task(params.load().task).description.metrics},
    )
    spoken = {
        "decide": found.decision.candidate,
        "evaluate": found.evaluation.candidate,
        "measure": found.measurement.candidate.digest,
        "train": found.training.candidate,
    }
    for stage, digest in spoken.items():
        if digest != found.candidate.digest:
            raise InputError(
                f"reports/{stage}.json speaks of candidate {digest[:12]}, models/candidate is "
                f"{found.candidate.digest[:12]}; run `dvc repro`"
            )
    return found


def answer(found: Results) -> Sentence:
    """The decision in words."""
    said = "accepted" if found.decision.accepted else "rejected"
    named = f"Candidate {found.candidate.digest[:12]}, a {found.candidate.model} of {found.candidate.dataset}"
    stopping = [one.name for one in found.decision.verdicts if not one.passed or one.refused]
    advisory = [name for name in stopping if name in found.decision.advisory]
    failed = [name for name in stopping if name not in advisory]
    reasons = f" Failed or refused: {', '.join(failed)}." if failed else ""
    return Sentence(f"{named}, was {said}.{reasons}" + (f" Advisory: {', '.join(advisory)}." if advisory else ""))


def verdicts(found: Results) -> Table:
    """What each gate answered, the figure that decided, and where that comes from."""
    headers = ("gate", "answer", "value", "limit", "unit", "provenance", "reason")
    rows = [
        (one.name, one.outcome, one.value, one.limit, one.unit, one.provenance, one.reason)
        for one in found.decision.verdicts
    ]
    return Table(headers, rows)


def scores(found: Results) -> Table:
    """Every metric of every contender with its 95 % interval."""
    headers = ("contender", "metric", "unit", "value", "95 % from", "to", "over so many units")
    rows = [
        (name, metric, found.units.get(metric, "not known"), score.value, score.low, score.high, score.units)
        for name, values in found.evaluation.contenders.items()
        for metric, score in values.items()
    ]
    return Table(headers, rows)


def contenders(found: Results) -> Picture:
    """The headline metric of every contender with its interval."""
    metric = found.evaluation.headline
    return Picture(charts.contenders(found.evaluation), f"{metric.name} [{metric.unit}] of every contender")


def worst_units(found: Results, *, shown: int) -> Table:
    """The units on which the candidate is worst."""
    if shown < 1:
        raise InputError(f"shown must be >= 1, got {shown}")
    metric = found.evaluation.headline
    parts = worst_first([one for one in found.evaluation.slices if one.kind == "unit"], metric)[:shown]
    headers = ("unit", "rows", f"{metric.name} [{metric.unit}]")
    return Table(headers, [(one.name, one.rows, one.scores[metric.name]) for one in parts])


def energy(found: Results) -> Table:
    """What training and answers took, each with its sensor and whether it was measured."""
    headers = ("activity", "energy [J]", "95 % from", "to", "provenance", "sensor", "boundary", "time [s]")
    rows = [
        (name, one.joules, *one.interval, one.provenance, one.sensor, one.boundary, one.seconds)
        for name, one in _activities(found)
    ]
    return Table(headers, rows)


def _activities(found: Results) -> Iterator[tuple[str, Energy]]:
    launches = found.spent.launches
    yield f"training, {launches} {'launch' if launches == 1 else 'launches'}", found.spent.total
    for name, one in per_1000(found).items():
        yield f"1,000 predictions, {name}", one
    if found.measurement.serving is not None:
        yield "1,000 requests to the server", found.measurement.serving.per_1000_requests
        yield "1,000,000 live samples", found.measurement.serving.per_million_samples


def per_1000(found: Results) -> dict[str, Energy]:
    """Contender -> energy of 1,000 predictions."""
    champion = found.measurement.champion
    energies = {"candidate": found.measurement.candidate.energy_per_1000}
    energies |= {"champion": champion.energy_per_1000} if champion is not None else {}
    return energies | dict(found.measurement.baselines)


def costs(found: Results) -> Picture:
    """Energy of 1,000 predictions of every contender."""
    energies = per_1000(found)
    kinds = " and ".join(sorted({one.provenance for one in energies.values()}))
    words = f"Energy of 1,000 predictions, {kinds} on {found.measurement.machine}"
    return Picture(charts.costs(energies, title=words), words)


def training(found: Results) -> Table:
    """What `train` says of itself."""
    said = found.training.model_dump(exclude={"candidate", "data"})
    return Table(("what", "found"), list(_flat(said)))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Cell]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str | int | float) else str(value)


def curves() -> Picture:
    """The training curves. Raises InputError when there are none."""
    try:
        rows = list(csv.DictReader(io.StringIO(CURVES.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        raise InputError(f"{CURVES} is missing; run `dvc repro` to make it") from None
    names = [name for name in rows[0] if name != "epoch"] if rows else []
    figures = {name: [float(row[name]) for row in rows] for name in names}
    epochs = "1 epoch: this model is solved, not descended to" if len(rows) == 1 else f"{len(rows)} epochs"
    words = f"{', '.join(names)} over {epochs}"
    return Picture(charts.curves(figures, title=words), words)
