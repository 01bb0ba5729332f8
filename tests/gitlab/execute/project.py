"""The project whose pipeline is run: this one, with little of everything."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gitlab.execute.repository import params

ROOT = Path(__file__).resolve().parents[3]
MADE = ("dvc.lock", "reports/", "model_cards/", "champion/champion.json", "champion/candidate.json")
"""What stages and verbs write here at a desk."""
PUBLIC_KEY = Path("keys/public.pem")


def small(tree: Any) -> None:
    """A cluster of four nodes for two days, little of everything, and limits that any working candidate meets."""
    tree["serving"]["model"]["trusted_keys"] = [str(PUBLIC_KEY)]
    block = tree["node_anomaly"]
    block["ingest"] = {"source": "simulator", "options": {"simulator": {"nodes": 4, "nodes_per_rack": 2, "days": 2}}}
    block["profile"]["rows"] = 1000
    block["train"]["model"] = "pca"
    block["evaluate"]["resamples"] = 100
    block["measure"] |= {"windows": 100, "repeats": 3}
    block["measure"]["serving"] |= {"requests": 100, "rows": 100, "repeats": 3}
    block["measure"]["session"] |= {
        "maximum_blocks": 6,
        "sample_seconds": 0.05,
        "idle_seconds": 0.2,
        "idle_drift": 10.0,
    }
    gates = block["gates"]
    gates["data"]["minimum_rows"] = 100
    gates["quality"] |= {"limit": 0.0, "margin_over_baselines": 0.0}
    gates["champion"]["tolerance"] = 1.0
    gates["slices"] |= {"limit": 0.0, "minimum_rows": 10}
    gates["robustness"]["maximum_loss"] = 1.0
    gates["latency"] |= {"p99_ms": 1000.0, "throughput_per_second": 1.0}
    gates["energy"] |= {"margin": 10.0, "budget_joules": 1e6, "training_budget_kwh": 100.0}


def prepare(desk: Path, *, public_key: bytes, serving: Mapping[str, Any]) -> None:
    """Make the checkout that project.

    serving: environment -> where it is served on this machine
    """
    params(desk, small)
    params(desk, partial(_served, serving=serving))
    (desk / PUBLIC_KEY).parent.mkdir(exist_ok=True)
    (desk / PUBLIC_KEY).write_bytes(public_key)


def _served(tree: Any, *, serving: Mapping[str, Any]) -> None:
    for name, place in serving.items():
        tree["deployment"][name] |= place
    tree["deployment"]["load"] |= {"requests": 100, "repeats": 2, "paced_requests": 100, "idle_seconds": 0.2}
    tree["deployment"]["limits"] |= {"p99_ms": 10000.0, "throughput_per_second": 1.0, "budget_joules": 1e6}
