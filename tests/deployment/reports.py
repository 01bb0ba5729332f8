"""Acceptance reports as `wattline acceptance` writes them."""

from typing import Any

from builders import energy

from wattline.deployment import accepting
from wattline.deployment.judging import REPORT
from wattline.deployment.record import NAMES, Acceptance, Load
from wattline.deployment.reference import Reference
from wattline.deployment.state import now, release
from wattline.records import Verdict

LOAD = {
    "p50_ms": 1.0,
    "p99_ms": 2.0,
    "rate_per_second": 100.0,
    "throughput_per_second": 500.0,
    "connections": 8,
    "requests": 1000,
    "errors": 0,
}


def load(**changes: Any) -> Load:
    """Figures of a load test."""
    return Load.model_validate(LOAD | changes)


def write_acceptance(
    reference: Reference,
    /,
    *,
    version: str,
    failed: str = "",
    refused: str = "",
    without: str = "",
    absent: bool = False,
    **changes: str,
) -> None:
    """Write the report of an image; failed, refused, without: names of verdicts."""
    said = release(reference, model="node_anomaly-simulator", version=version, digest="d" * 64, commit="c" * 40)
    verdicts = tuple(
        Verdict(name=name, passed=name not in (failed, refused), refused=name == refused, value=1, limit=1, reason="so")
        for name in NAMES
        if name != without
    )
    found = Acceptance(
        environment="staging",
        release=said.model_copy(update=changes),
        at=now(),
        machine="x86_64, Linux",
        verdicts=verdicts,
        load=load(),
        energy_per_1000=energy(),
        idle_watts=0.1,
    )
    accepting.write(found)
    if absent:
        REPORT.unlink()
