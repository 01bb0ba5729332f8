"""A machine-learning bill of materials: CycloneDX 1.6 JSON of the model, its data and its environment."""

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from typing import Any
from uuid import UUID

from wattline.errors import WattlineError
from wattline.supply.card import Evidence

JOULES_PER_KILOWATT_HOUR = 3.6e6
RUNTIME = ("numpy", "onnx", "onnxruntime", "onnxscript", "scikit-learn", "skl2onnx", "torch")


def render(evidence: Evidence) -> str:
    """The bill as JSON text, valid against CycloneDX 1.6. Raises WattlineError when it is not."""
    text = json.dumps(_bill(evidence), indent=2, sort_keys=True) + "\n"
    problem = validate(text)
    if problem:
        raise WattlineError(f"the bill of materials is not valid CycloneDX 1.6: {problem}")
    return text


def validate(text: str) -> str | None:
    """What is wrong with `text` as CycloneDX 1.6 JSON; None when nothing is."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return None if error is None else " ".join(str(error).split())[:300]


def _bill(evidence: Evidence) -> dict[str, Any]:
    model = _model(evidence)
    # Derived from content, so that equal bills have equal bytes.
    serial = UUID(bytes=hashlib.sha256(evidence.candidate.digest.encode()).digest()[:16], version=5)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "serialNumber": f"urn:uuid:{serial}",
        "metadata": {"component": model},
        "components": [_dataset(evidence), *_libraries(RUNTIME)],
        "dependencies": [{"ref": "model", "dependsOn": ["data", *(f"library:{name}" for name in RUNTIME)]}],
    }


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


def _libraries(names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "type": "library",
            "bom-ref": f"library:{name}",
            "name": name,
            "version": metadata.version(name),
            "purl": f"pkg:pypi/{name}@{metadata.version(name).split('+')[0]}",
        }
        for name in names
    ]
