"""Emissions of an activity, by the software carbon intensity of ISO/IEC 21031:2024."""

from wattline.params import EmissionsParams
from wattline.records import Emissions, Energy, Grid, TrainingEnergy

PREDICTIONS = "1,000 predictions"
TRAINING = "training"


def of_model(energy_per_1000: Energy, training: TrainingEnergy, site: EmissionsParams | None) -> tuple[Emissions, ...]:
    """Emissions of 1,000 predictions and of the training; none where the site says nothing of its electricity."""
    if site is None:
        return ()
    return (
        emissions(energy_per_1000, site, unit=PREDICTIONS),
        emissions(training.total, site, unit=TRAINING, machine_seconds=machine_seconds(training)),
    )


def emissions(energy: Energy, site: EmissionsParams, *, unit: str, machine_seconds: float | None = None) -> Emissions:
    """(E x I) + M per R: operational emissions, and the share of the making of the machines by their time in use.

    unit: R, what the energy was taken for
    machine_seconds: time that machines were in use for it, added up; by default that of one machine [s]
    """
    seconds = energy.seconds if machine_seconds is None else machine_seconds
    return Emissions(
        kwh=energy.kwh,
        grid=Grid(grams_per_kwh=site.grams_per_kwh, source=site.source, as_of=site.as_of),
        grams=energy.kwh * site.grams_per_kwh,
        embodied_grams=seconds / 3600 * site.embodied_grams_per_hour,
        embodied_source=site.embodied_source,
        provenance=energy.provenance,
        unit=unit,
    )


def machine_seconds(training: TrainingEnergy) -> float:
    """Time that nodes were in use for a training, lost attempts included; processes of one node share it [s]."""
    used: dict[tuple[int, int], float] = {}
    for attempt in training.attempts:
        machine = (attempt.number, attempt.node)
        used[machine] = max(used.get(machine, 0.0), attempt.energy.seconds)
    return sum(used.values())
