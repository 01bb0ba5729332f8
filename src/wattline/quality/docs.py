"""Data Docs: the outcome of `validate` as one page."""

from collections.abc import Iterator, Sequence
from html import escape

from wattline.quality import page
from wattline.quality.expectations import Outcome
from wattline.records import Dataset, Finding, Validation

FINDING_HEADS = (
    ("severity", ""),
    ("column", ""),
    ("rule", ""),
    ("count", "number"),
    ("share", "number"),
    ("first offenders", "first"),
)
EXPECTATION_HEADS = (("outcome", ""), ("column", ""), ("expectation", ""), ("rule", ""), ("observed", "number"))


def render(dataset: Dataset, validation: Validation, outcomes: Sequence[Outcome]) -> str:
    """HTML page: what is not met, then every expectation and its outcome."""
    parts = [page.paragraph(_summary(validation))]
    if validation.findings:
        parts += ["<h2>Not met</h2>", page.table(FINDING_HEADS, map(_finding, validation.findings))]
    parts += ["<h2>All expectations</h2>", page.table(EXPECTATION_HEADS, _expectations(outcomes))]
    if not outcomes:
        parts[-1] = page.paragraph("Not evaluated: the columns of the partitions must be right first.")
    footer = f"{dataset.home}. {dataset.licence}. {dataset.citation}. Dataset {validation.data[:12]}."
    return page.page(f"{_verdict(validation)}: {dataset.name}", *parts, footer=footer)


def _verdict(validation: Validation) -> str:
    critical, warnings = (len(validation.failures(severity)) for severity in ("critical", "warning"))
    if critical:
        return f"Rows fail {critical} critical expectation{'s' * (critical > 1)}"
    return f"Rows pass with {warnings} warning{'s' * (warnings > 1)}" if warnings else "Rows meet every expectation"


def _summary(validation: Validation) -> str:
    critical, warnings = (len(validation.failures(severity)) for severity in ("critical", "warning"))
    return (
        f"{validation.rows:,} rows of {validation.units:,} units. {validation.expectations:,} expectations: "
        f"{validation.expectations - critical - warnings:,} met, {critical:,} critical, {warnings:,} warnings."
    )


def _finding(finding: Finding) -> list[str]:
    return [
        page.badge(finding.severity, finding.severity),
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
