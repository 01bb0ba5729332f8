"""Data Docs: the outcome of `validate` as one page."""

from collections.abc import Iterator, Sequence
from html import escape

from wattline.quality import offenders, page
from wattline.quality.outcome import Outcome
from wattline.records import Dataset, Finding, Quarantine, QuarantinedUnit, Validation

FINDING_HEADS = (
    ("severity", ""),
    ("column", ""),
    ("rule", ""),
    ("count", "number"),
    ("share", "number"),
    ("first offenders", "first"),
)
EXPECTATION_HEADS = (("outcome", ""), ("column", ""), ("expectation", ""), ("rule", ""), ("observed", "number"))


QUARANTINE_HEADS = (("unit", ""), ("taken out", "number"), ("left", "number"), ("file", ""))


def render(dataset: Dataset, validation: Validation, outcomes: Sequence[Outcome], taken: Quarantine) -> str:
    """HTML page: what is not met, which rows were taken out, then every expectation and its outcome."""
    parts = [page.paragraph(_summary(validation))]
    if validation.findings:
        parts += ["<h2>Not met</h2>", page.table(FINDING_HEADS, map(_finding, validation.findings))]
    if taken.units:
        parts += ["<h2>Rows in quarantine</h2>", page.paragraph(_quarantine(validation))]
        parts += [page.table(QUARANTINE_HEADS, map(_quarantined, taken.units))]
    parts += ["<h2>All expectations</h2>", page.table(EXPECTATION_HEADS, _expectations(outcomes))]
    if not outcomes:
        parts[-1] = page.paragraph("Not evaluated: the columns of the partitions must be right first.")
    footer = f"{dataset.home}. {dataset.licence}. {dataset.citation}. Dataset {validation.data[:12]}."
    return page.page(f"{_verdict(validation)}: {dataset.name}", *parts, footer=footer)


def _verdict(validation: Validation) -> str:
    critical, warnings = (len(validation.failures(severity)) for severity in ("critical", "warning"))
    if critical:
        return f"Rows fail {critical} critical expectation{'s' * (critical > 1)}"
    rows = "Rows that are left" if validation.quarantined else "Rows"
    return (
        f"{rows} pass with {warnings} warning{'s' * (warnings > 1)}" if warnings else f"{rows} meet every expectation"
    )


def _summary(validation: Validation) -> str:
    critical, warnings = (len(validation.failures(severity)) for severity in ("critical", "warning"))
    # That too many rows were taken out is a finding, but none of the expectations.
    unmet = [one for one in validation.findings if one.rule != offenders.RULE]
    met, left = validation.expectations - len(unmet), sum(one.quarantined for one in unmet)
    by_the_left = f" {left:,} by the rows that are left," if left else ""
    held = f" {validation.quarantined:,} rows are in quarantine." if validation.quarantined else ""
    return (
        f"{validation.rows:,} rows of {validation.units:,} units. {validation.expectations:,} expectations: "
        f"{met:,} met,{by_the_left} {critical:,} critical, {warnings:,} warnings.{held}"
    )


def _quarantine(validation: Validation) -> str:
    return (
        f"{validation.quarantined:,} of {validation.rows:,} rows ({validation.quarantined / validation.rows:.3%}) "
        "break a critical expectation. They are kept with their reasons in data/quarantine; no later stage uses them."
    )


def _quarantined(unit: QuarantinedUnit) -> list[str]:
    return [escape(unit.name), f"{unit.rows:,}", f"{unit.left:,}", escape(f"data/quarantine/{unit.name}.parquet")]


def _finding(finding: Finding) -> list[str]:
    return [
        page.badge("quarantined" if finding.quarantined else finding.severity, finding.severity),
        escape(finding.column or "table"),
        page.breakable(finding.rule),
        f"{finding.count:,}",
        f"{finding.share:.3%}",
        "\n".join(map(escape, finding.first_rows)),
    ]


def _expectations(outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    for outcome in outcomes:
        kind = "met" if outcome.passed else outcome.expectation.severity
        observed = outcome.observed or f"{outcome.count:,} offending rows"
        yield [
            page.badge(kind, kind),
            escape(", ".join(outcome.columns) or "table"),
            escape(outcome.prose),
            page.breakable(outcome.expectation.rule),
            escape(observed),
        ]
