"""Section of the card about energy: what answers and training take, and what that emits where the site says how."""

import math
from collections.abc import Iterator, Sequence

from wattline.errors import InputError
from wattline.records import Emissions, Energy, Measurement, Performance, TrainingEnergy
from wattline.records.energy import JOULES_PER_KWH
from wattline.supply.card.markdown import required, table


def energy(measurement: Measurement, training: TrainingEnergy) -> list[str]:
    """What 1,000 answers take [J] and the training [kWh], its lost attempts included, and what was read."""
    rows = [
        [f"1,000 predictions, {name}", joules(performance.energy_per_1000), _idle(performance)]
        for name, performance in performances(measurement)
    ]
    rows.append(["training", kilowatt_hours(measurement.training_energy), "-"])
    return [
        *table(["activity", "energy", "idle power in what was read, taken off"], rows),
        "",
        *_sensors(measurement),
        "",
        *attempts(measurement, training),
        *emissions(measurement.emissions),
    ]


def attempts(measurement: Measurement, training: TrainingEnergy) -> list[str]:
    """How often the training was begun, and what was lost. Raises InputError when that is another training's."""
    if training.total != measurement.training_energy:
        raise InputError(
            "model card: reports/train_energy.json and reports/measure.json are about different trainings; "
            "run `dvc repro measure`"
        )
    if len(training.attempts) == 1:
        return ["The training ended at its first attempt."]
    lost = sum(attempt.energy.joules for attempt in training.attempts if not attempt.finished)
    rows = [
        [str(one.number), str(one.rank), str(one.node), "ended" if one.finished else "lost", joules(one.energy)]
        for one in training.attempts
    ]
    times = f"{training.launches} times" if training.launches > 1 else "once"
    return [
        f"The training was begun {times}. Its energy is that of all attempts and processes, {lost:.3g} J of lost work "
        "included.",
        "",
        *table(["attempt", "process", "node", "", "energy"], rows),
    ]


def emissions(found: Sequence[Emissions]) -> list[str]:
    """Grams with all that they rest on; nothing where the site says nothing of its electricity."""
    if not found:
        return []
    rows = [
        [
            one.unit,
            f"{one.kwh:.3g} kWh, {one.provenance}",
            f"{one.grams:.3g}",
            f"{one.embodied_grams:.3g}" if one.embodied_source else "not known",
            f"{one.total_grams:.3g}",
        ]
        for one in found
    ]
    header = ["for", "energy", "operational [gCO2e]", "embodied [gCO2e]", "software carbon intensity [gCO2e]"]
    grid, made = found[0].grid, found[0].embodied_source
    factor = f"{grid.grams_per_kwh:g} gCO2e/kWh as of {grid.as_of}: {required('emissions.source', grid.source)}."
    text = f"Computed as (E x I) + M per unit (ISO/IEC 21031:2024) with {factor}"
    return ["", *table(header, rows), "", text + (f" Embodied: {made}." if made else " M is taken as 0.")]


def joules(energy: Energy | None) -> str:
    """An energy with its interval and provenance. Raises InputError when there is none."""
    return f"{_figures(energy, 1, 'J')}, {_known(energy).provenance}"


def kilowatt_hours(energy: Energy | None) -> str:
    """The same in kWh, and in J. Raises InputError when there is none."""
    return f"{_figures(energy, 1 / JOULES_PER_KWH, 'kWh')} ({joules(energy)})"


def performances(measurement: Measurement) -> Iterator[tuple[str, Performance]]:
    """Who was measured, by name."""
    yield "candidate", measurement.candidate
    if measurement.champion is not None:
        yield "champion", measurement.champion


def _known(energy: Energy | None) -> Energy:
    if energy is None:
        raise InputError("model card: required field energy is empty; run `dvc repro train` to measure it")
    return energy


def _figures(energy: Energy | None, factor: float, unit: str) -> str:
    known = _known(energy)
    low, high = known.interval
    return f"{known.joules * factor:.3g} {unit} [{low * factor:.3g}, {high * factor:.3g}]"


def _idle(performance: Performance) -> str:
    return f"{performance.idle_share:.0%}" if math.isfinite(performance.idle_share) else "not known"


def _sensors(measurement: Measurement) -> list[str]:
    """What was read, said once where it is the same for both."""
    one, other = measurement.candidate.energy_per_1000, measurement.training_energy
    if other is None or (other.sensor, other.boundary) == (one.sensor, one.boundary):
        return [_sensor(one)]
    return [f"Predictions: {_sensor(one)}", "", f"Training: {_sensor(other)}"]


def _sensor(energy: Energy) -> str:
    sensor, boundary = required("energy.sensor", energy.sensor), required("energy.boundary", energy.boundary)
    unread = energy.parameters.get("not_read")
    return f"Sensor: {sensor}. Boundary: {boundary}." + (f" Not read: {unread}." if unread else "")
