"""Variables that a job hands to later ones: what GitLab takes in a dotenv report, and nothing that is a secret."""

import re
from collections.abc import Mapping

from wattline.errors import WattlineError
from wattline.gitlab.reports.left import Left
from wattline.records import Decision, Evaluation, Measurement, TrainingEnergy

NAME = re.compile(r"[A-Za-z0-9_]+")
VALUE = re.compile(r"[A-Za-z0-9._:/@+-]{0,200}")
"""GitLab neither unquotes nor expands; what a shell would do something with is left out altogether."""
LARGEST = 5 * 1024
MOST = 20
"""Bytes and variables of a report: GitLab's own limits."""
UNKNOWN = "unknown"


def variables(left: Left, *, lock_sha256: str | None) -> dict[str, str]:
    """What later jobs may ask: the decision, and what it is about. The decision is "unknown" where there is none.

    lock_sha256: of dvc.lock
    """
    decision, evaluation = left.current("decide", Decision), left.current("evaluate", Evaluation)
    said: dict[str, str | None] = {
        "WATTLINE_DECISION": UNKNOWN,
        "WATTLINE_REPORTS": "incomplete" if left.problems else "complete",
        "WATTLINE_LOCK_SHA256": lock_sha256,
    }
    if decision is not None:
        said["WATTLINE_DECISION"] = "accepted" if decision.accepted and not left.problems else "rejected"
        said["WATTLINE_CANDIDATE_SHA256"] = decision.candidate
        said["WATTLINE_DATASET_ID"] = decision.data
    if evaluation is not None:
        score = evaluation.contenders.get("candidate", {}).get(evaluation.headline.name)
        said["WATTLINE_COMPARED_VERSION"] = evaluation.champion.version or "none"
        said["WATTLINE_HEADLINE_METRIC"] = evaluation.headline.name
        said["WATTLINE_HEADLINE_SCORE"] = f"{score.value:.6g}" if score is not None and score.units else None
    return {name: value for name, value in (said | _energy(left)).items() if value and VALUE.fullmatch(value)}


def _energy(left: Left) -> dict[str, str | None]:
    measurement, training = left.current("measure", Measurement), left.current("train_energy", TrainingEnergy)
    said: dict[str, str | None] = {}
    if measurement is not None:
        energy = measurement.candidate.energy_per_1000
        said["WATTLINE_JOULES_PER_1000"] = f"{energy.joules:.6g}"
        said["WATTLINE_JOULES_PROVENANCE"] = energy.provenance
    if training is not None:
        said["WATTLINE_TRAINING_JOULES"] = f"{training.total.joules:.6g}"
        said["WATTLINE_TRAINING_PROVENANCE"] = training.total.provenance
    return said


def render(values: Mapping[str, str]) -> str:
    """One NAME=VALUE a line. Raises WattlineError for what GitLab would refuse, or read as something else."""
    for name, value in values.items():
        if not NAME.fullmatch(name) or not VALUE.fullmatch(value):
            raise WattlineError(f"{name}={value!r} is nothing that GitLab takes in a dotenv report")
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    if len(text) > LARGEST or len(values) > MOST:
        raise WattlineError(f"a dotenv report holds at most {LARGEST} bytes and {MOST} variables, this one {len(text)}")
    return text
