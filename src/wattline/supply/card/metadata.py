"""Metadata of the card as the Hugging Face Hub reads them: YAML between two lines of dashes at its head.

https://github.com/huggingface/hub-docs/blob/main/modelcard.md. What was found out are joules, which stand under
`wattline` with interval and provenance. `co2_eq_emissions` is there only where the site says how its power is made.
"""

import re
from typing import Any

import yaml

from wattline.energy.emissions import TRAINING
from wattline.records import Emissions, Energy, Metric, Score
from wattline.supply.card.evidence import Evidence
from wattline.supply.card.licences import named

HUB_DATASETS = "https://huggingface.co/datasets/"
CONFIDENCE = 0.95


def front_matter(evidence: Evidence) -> str:
    """The metadata with the lines that mark them: equal evidence, equal bytes."""
    text = yaml.safe_dump(metadata(evidence), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{text}---\n"


def metadata(evidence: Evidence) -> dict[str, Any]:
    """Fields of the Hub's model card, and ours under `wattline`."""
    results = _results(evidence)
    return {
        "language": ["en"],
        **named(evidence.card.licence),
        "library_name": "onnx",
        "tags": _tags(evidence),
        "datasets": [_dataset(evidence)],
        "metrics": [metric.name for metric in evidence.description.metrics],
        **({"model-index": [{"name": evidence.description.name, "results": results}]} if results else {}),
        **_hub_emissions(evidence),
        "wattline": _own(evidence),
    }


def _tags(evidence: Evidence) -> list[str]:
    """What a person may filter by: format, task, kind of model, and what the energy figure is."""
    energy = evidence.measurement.candidate.energy_per_1000
    tags = ["onnx", "wattline", evidence.description.name, evidence.candidate.model, f"energy-{energy.provenance}"]
    return [tag for tag in dict.fromkeys(_plain(tag) for tag in tags) if tag]


def _results(evidence: Evidence) -> list[dict[str, Any]]:
    """Scores of the candidate on the test rows; one that is undefined is none."""
    scores = evidence.evaluation.contenders["candidate"]
    metrics = [
        _metric(metric, scores[metric.name])
        for metric in evidence.description.metrics
        if metric.name in scores and scores[metric.name].units
    ]
    task = {"type": _plain(evidence.description.name), "name": _line(evidence.description.purpose)}
    dataset = {
        "type": _dataset(evidence),
        "name": _line(evidence.dataset.name),
        "split": "test",
        "revision": evidence.dataset.id,
    }
    return [{"task": task, "dataset": dataset, "metrics": metrics}] if metrics else []


def _metric(metric: Metric, score: Score) -> dict[str, Any]:
    interval = {"low": score.low, "high": score.high, "confidence": CONFIDENCE, "units": score.units}
    return {
        "type": metric.name,
        "value": score.value,
        "name": _line(metric.description),
        "args": {"unit": metric.unit, "higher_is_better": metric.higher_is_better, **interval},
    }


def _own(evidence: Evidence) -> dict[str, Any]:
    """What the Hub has no field for."""
    training = evidence.measurement.training_energy
    return {
        "candidate": evidence.candidate.digest,
        "decision": "accepted" if evidence.decision.accepted else "rejected",
        "energy_per_1000_predictions": _energy(evidence.measurement.candidate.energy_per_1000),
        **({"energy_of_training": _training(evidence, training)} if training else {}),
        **({"emissions": found} if (found := [_emissions(one) for one in evidence.measurement.emissions]) else {}),
    }


def _training(evidence: Evidence, energy: Energy) -> dict[str, Any]:
    return {**_energy(energy), "kilowatt_hours": energy.kwh, "attempts": evidence.training_energy.launches}


def _emissions(found: Emissions) -> dict[str, Any]:
    return {
        "for": found.unit,
        "kilowatt_hours": found.kwh,
        "provenance": found.provenance,
        "grams_per_kilowatt_hour": found.grid.grams_per_kwh,
        "source": _line(found.grid.source),
        "as_of": found.grid.as_of,
        "operational_grams": found.grams,
        "embodied_grams": found.embodied_grams,
        **({"embodied_source": _line(found.embodied_source)} if found.embodied_source else {}),
        "software_carbon_intensity_grams": found.total_grams,
    }


def _hub_emissions(evidence: Evidence) -> dict[str, Any]:
    """Operational emissions of the training [gCO2e], as the Hub shows them, with what they rest on."""
    for found in evidence.measurement.emissions:
        if found.unit == TRAINING:
            grid = found.grid
            source = (
                f"{found.kwh:.4g} kWh ({found.provenance}) x {grid.grams_per_kwh:g} gCO2e/kWh as of {grid.as_of}: "
                f"{_line(grid.source)}"
            )
            fields = {"emissions": found.grams, "source": source, "training_type": "pre-training"}
            return {"co2_eq_emissions": fields}
    return {}


def _energy(energy: Energy) -> dict[str, Any]:
    return {
        "joules": energy.joules,
        "interval_joules": list(energy.interval),
        "confidence": CONFIDENCE,
        "provenance": energy.provenance,
        "sensor": _line(energy.sensor),
        "boundary": _line(energy.boundary),
    }


def _dataset(evidence: Evidence) -> str:
    """Its id on the Hub where that is its home, else its name, which the Hub takes for nobody's."""
    name, home = evidence.dataset.name, evidence.dataset.home
    return home.removeprefix(HUB_DATASETS).strip("/") if home.startswith(HUB_DATASETS) else _plain(name) or "unnamed"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def _line(text: str) -> str:
    return " ".join(text.split())
