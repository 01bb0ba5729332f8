"""What gates judge, and how a gate that lacks it answers: with a verdict that does not pass."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from wattline.records import Candidate, Check, Dataset, Earlier, Evaluation, Measurement, Validation, Verdict

Arguments = ParamSpec("Arguments")
Report = TypeVar("Report")


@dataclass(frozen=True)
class Evidence:
    """All that is known about one candidate. None: the file is absent or unreadable.

    earlier: versions that it is set beside; no gate fails for the lack of them
    """

    dataset: Dataset | None = None
    candidate: Candidate | None = None
    validation: Validation | None = None
    evaluation: Evaluation | None = None
    measurement: Measurement | None = None
    checks: Sequence[Check] | None = None
    earlier: Earlier | None = None


class Insufficient(Exception):  # noqa: N818 - it is an answer, and never leaves the gates
    """The evidence allows no answer. The message says what is missing and what makes it."""


def fails_closed(gate: Callable[Arguments, Verdict]) -> Callable[Arguments, Verdict]:
    """Turn `Insufficient` into a verdict that does not pass. The gate is named like its function."""

    @functools.wraps(gate)
    def judge(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Verdict:
        try:
            return gate(*args, **kwargs)
        except Insufficient as reason:
            return unanswered(gate.__name__, str(reason))

    return judge


def unanswered(name: str, reason: str) -> Verdict:
    """A verdict that does not pass, because no figure could be had."""
    return Verdict(name=name, passed=False, value=math.nan, limit=math.nan, reason=reason)


def present(report: Report | None, stage: str) -> Report:
    """The report itself. Raises Insufficient where there is none."""
    if report is None:
        raise Insufficient(f"reports/{stage}.json is missing or unreadable; run `dvc repro {stage}`")
    return report


def foreign(evidence: Evidence) -> dict[str, str]:
    """Stage -> why its report does not speak about this candidate and these rows; empty when all do."""
    data = evidence.dataset.id if evidence.dataset is not None else None
    candidate = evidence.candidate.digest if evidence.candidate is not None else None
    found: dict[str, str] = {}
    if evidence.validation is not None and evidence.validation.data != data:
        found["validate"] = _sentence("validate", "dataset", evidence.validation.data, data)
    if evidence.evaluation is not None and evidence.evaluation.data != data:
        found["evaluate"] = _sentence("evaluate", "dataset", evidence.evaluation.data, data)
    if evidence.evaluation is not None and evidence.evaluation.candidate != candidate:
        found["evaluate"] = _sentence("evaluate", "candidate", evidence.evaluation.candidate, candidate)
    if evidence.measurement is not None and evidence.measurement.candidate.digest != candidate:
        found["measure"] = _sentence("measure", "candidate", evidence.measurement.candidate.digest, candidate)
    return found


def _sentence(stage: str, kind: str, found: str, wanted: str | None) -> str:
    here = "whose record is missing" if wanted is None else f"which is {_short(wanted)}"
    return f"reports/{stage}.json is about {kind} {_short(found)}, not the present one, {here}; run `dvc repro {stage}`"


def _short(digest: str) -> str:
    return digest[:12] or "''"
