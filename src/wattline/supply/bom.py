"""A machine-learning bill of materials: CycloneDX 1.6 JSON of the model, its data and its environment."""

from importlib import metadata
from typing import Any

from wattline.energy.emissions import PREDICTIONS, TRAINING
from wattline.records import Emissions, Energy
from wattline.records.energy import JOULES_PER_KWH
from wattline.supply.bill import library, reference, seal, validate
from wattline.supply.card import Evidence

__all__ = ["render", "validate"]

GRAMS_PER_TONNE = 1e6
RUNTIME = ("numpy", "onnx", "onnxruntime", "onnxscript", "scikit-learn", "skl2onnx", "torch")


def render(evidence: Evidence) -> str:
    """The bill as JSON text, valid against CycloneDX 1.6. Raises WattlineError when it is not."""
    content = {
        "metadata": {"component": _model(evidence)},
        "components": [_dataset(evidence), *(library(name, metadata.version(name)) for name in RUNTIME)],
        "dependencies": [{"ref": "model", "dependsOn": ["data", *map(reference, RUNTIME)]}],
    }
    return seal(content, identity=evidence.candidate.digest)


def _model(evidence: Evidence) -> dict[str, Any]:
    description = evidence.description
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": description.name,
        "version": evidence.candidate.digest[:16],
        "description": description.purpose,
        "hashes": [{"alg": "SHA-256", "content": evidence.candidate.files["model.onnx"]}],
        "licenses": [{"license": {"name": evidence.card.licence}}],
        "modelCard": {
            "modelParameters": {
                "architectureFamily": evidence.candidate.model,
                "datasets": [{"ref": "data"}],
                "inputs": [{"format": f"{one.dtype} {list(one.shape)}"} for one in evidence.signature.inputs],
                "outputs": [{"format": f"{one.dtype} {list(one.shape)}"} for one in evidence.signature.outputs],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(evidence)},
            "considerations": {
                "useCases": [description.intended_use],
                "technicalLimitations": [description.limits],
                "environmentalConsiderations": {"energyConsumptions": _consumptions(evidence)},
            },
        },
    }


def _metrics(evidence: Evidence) -> list[dict[str, Any]]:
    return [
        {
            "type": name,
            "value": f"{score.value:.6g}",
            "confidenceInterval": {"lowerBound": f"{score.low:.6g}", "upperBound": f"{score.high:.6g}"},
        }
        for name, score in evidence.evaluation.contenders["candidate"].items()
    ]


def _consumptions(evidence: Evidence) -> list[dict[str, Any]]:
    measurement = evidence.measurement
    activities = {
        "training": (TRAINING, measurement.training_energy),
        "inference": (PREDICTIONS, measurement.candidate.energy_per_1000),
    }
    emissions = {found.unit: found for found in measurement.emissions}
    return [
        {
            "activity": activity,
            "energyProviders": [
                {
                    "bom-ref": f"energy:{activity}",
                    "organization": {"name": evidence.card.owner},
                    "energySource": "unknown",
                    "energyProvided": {"value": energy.kwh, "unit": "kWh"},
                }
            ],
            "activityEnergyCost": {"value": energy.kwh, "unit": "kWh"},
            **_cost(emissions.get(unit)),
            "properties": _properties(energy, emissions.get(unit), unit=unit)
            + ([_property("attempts", str(evidence.training_energy.launches))] if unit == TRAINING else []),
        }
        for activity, (unit, energy) in activities.items()
        if energy is not None
    ]


def _cost(found: Emissions | None) -> dict[str, Any]:
    """Operational emissions, in the one unit that CycloneDX has."""
    return {"co2CostEquivalent": {"value": found.grams / GRAMS_PER_TONNE, "unit": "tCO2eq"}} if found else {}


def _properties(energy: Energy, found: Emissions | None, *, unit: str) -> list[dict[str, str]]:
    """What CycloneDX has no field for, and the figures mean nothing without."""
    low, high = energy.interval
    said = {
        "per": unit,
        "provenance": energy.provenance,
        "sensor": energy.sensor,
        "boundary": energy.boundary,
        "interval_kwh": f"{low / JOULES_PER_KWH:.6g} to {high / JOULES_PER_KWH:.6g}",
    }
    if found is not None:
        said |= {
            "grams_per_kwh": f"{found.grid.grams_per_kwh:g}",
            "emission_source": found.grid.source,
            "emission_as_of": str(found.grid.as_of),
            "embodied_grams": f"{found.embodied_grams:.6g}",
        }
    return [_property(name, value) for name, value in said.items()]


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"wattline:{name}", "value": value}


def _dataset(evidence: Evidence) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": "data",
        "name": evidence.dataset.name,
        "version": evidence.dataset.id[:16],
        "description": evidence.dataset.citation,
        "hashes": [{"alg": "SHA-256", "content": evidence.dataset.id}],
        "licenses": [{"license": {"name": evidence.dataset.licence}}],
    }
