"""Gate: are these rows fit to learn from?"""

from collections.abc import Iterator

from wattline.gates.evidence import Insufficient, fails_closed, present
from wattline.params import DataLimits
from wattline.records import Finding, Validation, Verdict


@fails_closed
def data(evidence: Validation | None, limits: DataLimits) -> Verdict:
    """No critical finding, few warnings, enough units and rows."""
    validation = present(evidence, "validate")
    if validation.expectations < 1:
        raise Insufficient("reports/validate.json holds no expectation; write some in the task and run `dvc repro`")
    verdicts = list(_verdicts(validation, limits))
    return next((verdict for verdict in verdicts if not verdict.passed), verdicts[-1])


def _verdicts(validation: Validation, limits: DataLimits) -> Iterator[Verdict]:
    """One verdict for each question; the last one speaks for all when all pass."""
    critical = validation.failures("critical")
    yield _at_most(len(critical), 0, "critical findings", _example(critical))
    warnings = validation.failures("warning")
    yield _at_most(len(warnings), limits.maximum_warnings, "warnings", _example(warnings))
    held = f", {validation.quarantined:,} rows in quarantine" if validation.quarantined else ""
    found = f"{validation.expectations} expectations, {len(warnings)} warnings{held}"
    yield _at_least(validation.units, limits.minimum_units, "units", found)
    used = validation.rows - validation.quarantined
    yield _at_least(used, limits.minimum_rows, "rows", f"{validation.units} units, {found}")


def _at_most(value: int, limit: int, unit: str, note: str) -> Verdict:
    passed = value <= limit
    reason = f"{unit} {value:,} {'<=' if passed else '>'} {limit:,}: {note}"
    return _verdict(value, limit, unit, passed=passed, reason=reason)


def _at_least(value: int, limit: int, unit: str, note: str) -> Verdict:
    passed = value >= limit
    reason = f"{unit} {value:,} {'>=' if passed else '<'} {limit:,}: {note}"
    return _verdict(value, limit, unit, passed=passed, reason=reason)


def _verdict(value: int, limit: int, unit: str, *, passed: bool, reason: str) -> Verdict:
    return Verdict(
        name="data",
        passed=passed,
        value=value,
        limit=limit,
        unit=unit,
        reason=reason,
        evidence=("reports/validate.json",),
    )


def _example(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return "none"
    first = findings[0]
    return f"first {first.rule} on {first.column or 'the rows'}, {first.count:,} times ({first.share:.2%})"
