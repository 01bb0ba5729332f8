"""The doctor: what this pipeline needs, and what it lacks."""

from wattline.gitlab.doctor.checks import CHECKS
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Report
from wattline.gitlab.doctor.gathering import gather
from wattline.gitlab.doctor.needs import kind_of, named
from wattline.settings import Settings

__all__ = ["Finding", "Report", "diagnose", "examine"]


def examine(known: Settings, *, kind: str | None = None) -> Report:
    """Ask and judge everything that can be, within half a minute.

    kind: of the pipeline; None: as this job's variables say
    Raises InputError for a kind that nobody knows.
    """
    return diagnose(gather(known, named(kind, variable="--pipeline") if kind else kind_of(known)))


def diagnose(facts: Facts) -> Report:
    """Judge what is known."""
    found = tuple(_safe(one, facts) for check in CHECKS if (one := check(facts)) is not None)
    return Report(pipeline=facts.kind, findings=found)


def _safe(finding: Finding, facts: Facts) -> Finding:
    """The same finding. No check repeats a secret; should one ever do, it is not told."""
    text = f"{finding.said} {finding.remedy}"
    for name, secret in facts.known.given.items():
        if len(secret.get_secret_value()) >= SHORTEST and secret.get_secret_value() in text:
            return finding.model_copy(update={"said": f"what was found holds {name} and is not told", "remedy": ""})
    return finding


SHORTEST = 6
"""Characters of what may be a secret; a shorter one would be found in any text."""
