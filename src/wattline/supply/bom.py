"""A machine-learning bill of materials: CycloneDX 1.6 JSON of the model, its data and its environment."""

from importlib import metadata
from typing import Any

from wattline.supply.bill import library, reference, seal, validate
from wattline.supply.card import Evidence

__all__ = ["render", "validate"]

JOULES_PER_KILOWATT_HOUR = 3.6e6
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
    activities = {
        "training": evidence.measurement.training_energy,
        "inference": evidence.measurement.candidate.energy_per_1000,
    }
    return [
        {
            "activity": activity,
            "energyProviders": [
                {
                    "bom-ref": f"energy:{activity}",
                    "organization": {"name": evidence.card.owner},
                    "energySource": "unknown",
                    "energyProvided": {"value": energy.joules / JOULES_PER_KILOWATT_HOUR, "unit": "kWh"},
                }
            ],
            "activityEnergyCost": {"value": energy.joules / JOULES_PER_KILOWATT_HOUR, "unit": "kWh"},
            "properties": [
                {"name": "wattline:provenance", "value": energy.provenance},
                {"name": "wattline:sensor", "value": energy.sensor},
            ],
        }
        for activity, energy in activities.items()
        if energy is not None
    ]


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
