"""The part of the site about figures: what counts most side by side, and the scores of all contenders."""

from collections.abc import Iterator, Mapping

from wattline.gitlab.reports.left import Left
from wattline.gitlab.site import html
from wattline.gitlab.site.figures import interval, number, quantity
from wattline.gitlab.site.html import Cell
from wattline.records import Energy, Evaluation, Measurement, Score, TrainingEnergy, Validation

CANDIDATE, CHAMPION = "candidate", "champion"


def summary(left: Left) -> str:
    """The figures that a reader looks for first."""
    return html.figures([*_quality(left), *_speed(left), *_energy(left), *_data(left)])


def _quality(left: Left) -> Iterator[tuple[str, str, str]]:
    evaluation = left.current("evaluate", Evaluation)
    if evaluation is None:
        return
    name, unit = evaluation.headline.name, evaluation.headline.unit
    found = evaluation.contenders.get(CANDIDATE, {}).get(name)
    if found is None:
        return
    better = "higher" if evaluation.headline.higher_is_better else "lower"
    note = f"95 % interval {interval(found.low, found.high)}, {evaluation.rows:,} test rows; {better} is better"
    yield f"{name}, headline", quantity(found.value, unit), note
    change = evaluation.versus_champion.get(name)
    if change is not None:
        version = evaluation.champion.version
        yield (
            f"{name} against champion {version}",
            f"{change.value:+.4g}",
            f"95 % interval {interval(change.low, change.high)}",
        )


def _speed(left: Left) -> Iterator[tuple[str, str, str]]:
    measurement = left.current("measure", Measurement)
    if measurement is not None:
        one = measurement.candidate
        yield (
            "latency, p99",
            f"{number(one.latency_p99_ms)} ms",
            f"measured, one window; p50 {number(one.latency_p50_ms)} ms",
        )
        rate = f"{number(one.throughput_per_second)} windows/s"
        yield "throughput", rate, f"measured, in batches of {one.batch}"


def _energy(left: Left) -> Iterator[tuple[str, str, str]]:
    measurement, training = left.current("measure", Measurement), left.current("train_energy", TrainingEnergy)
    if measurement is not None:
        energy = measurement.candidate.energy_per_1000
        yield "energy of 1,000 predictions", f"{number(energy.joules)} J", _origin(energy)
    if training is not None:
        total, launches = training.total, training.launches
        attempts = "" if launches == 1 else f"; {launches} attempts, all counted"
        yield "energy of the training", f"{number(total.joules)} J", f"{_origin(total)}{attempts}"


def _origin(energy: Energy) -> str:
    return f"{energy.provenance}: {energy.sensor}; 95 % interval {interval(*energy.interval)} J"


def _data(left: Left) -> Iterator[tuple[str, str, str]]:
    validation = left.written("validate", Validation)
    if validation is not None:
        critical, warning = (len(validation.failures(severity)) for severity in ("critical", "warning"))
        note = f"{validation.expectations} expectations: {critical} critical findings, {warning} warnings"
        yield "rows of the dataset", f"{validation.rows:,}", f"{validation.units} units; {note}"


def table(left: Left, units: Mapping[str, str]) -> str:
    """The scores of all contenders on the same rows; nothing where this run made none.

    units: unit of each metric, where it is known
    """
    evaluation = left.current("evaluate", Evaluation)
    if evaluation is None:
        return ""
    known = {**units, evaluation.headline.name: evaluation.headline.unit}
    contenders = evaluation.contenders
    metrics = dict.fromkeys(name for scores in contenders.values() for name in scores)
    rows = (
        [Cell(html.text(f"{name} [{known.get(name, 'unit: see the card')}]").html, head=True)]
        + [_score(scores.get(name)) for scores in contenders.values()]
        for name in metrics
    )
    note = f"Means over units of the same {evaluation.rows:,} test rows, with 95 % bootstrap intervals."
    return html.table("Scores of every contender", ("metric", *contenders), rows) + html.paragraph(note)


def _score(found: Score | None) -> Cell:
    if found is None or not found.units:
        return html.text("undefined" if found is not None else "none", "number")
    return Cell(
        f'{html.text(number(found.value)).html}<div class="with">{interval(found.low, found.high)}</div>', "number"
    )
