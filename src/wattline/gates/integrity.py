"""Gate: are the bytes what their records say they are?"""

from collections.abc import Sequence

from wattline.gates.evidence import Insufficient, fails_closed
from wattline.records import Check, Verdict


@fails_closed
def integrity(evidence: Sequence[Check] | None) -> Verdict:
    """All comparisons hold, and there is at least one."""
    if not evidence:
        raise Insufficient("no bytes were compared with their records; run `dvc repro decide`")
    broken = [check for check in evidence if not check.holds]
    return Verdict(
        name="integrity",
        passed=not broken,
        value=len(broken),
        limit=0,
        unit="checks",
        reason=_sentence(broken[0], len(broken))
        if broken
        else f"records that match: {len(evidence)} of {len(evidence)}",
        evidence=("data/raw", "data/prepared", "models/candidate", "champion", "reports"),
    )


def _sentence(check: Check, broken: int) -> str:
    if not check.expected:
        cause = "nothing is recorded that it could be held against"
    else:
        cause = f"expected {check.expected[:12]}, found {check.found[:12] or 'nothing'}"
    return f"records that do not match: {broken}, first {check.name}: {cause}; run `dvc repro --force` to make it anew"
