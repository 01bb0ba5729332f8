"""What GitLab shows as tests: stages that left their report, expectations on the rows, and gates."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from wattline.gitlab.reports.left import Left
from wattline.records import Decision, Finding, Validation, Verdict

Kind = Literal["passed", "failure", "error"]


@dataclass(frozen=True)
class Case:
    """One test case.

    group: suite that it belongs to
    label: what the outcome is called, for example "REFUSE"; free of words that a parser of XML takes for a data type
    text: the first line says why
    properties: figures behind it
    """

    group: str
    name: str
    kind: Kind
    label: str
    text: str
    properties: tuple[tuple[str, str], ...] = ()


def cases(left: Left, *, failure: str | None = None) -> Iterator[Case]:
    """All test cases, those of the stages first.

    failure: how the job ended, where it did not end well
    """
    if failure:
        yield Case("stages", "job", "error", "job", f"the job did not end well: {failure}")
    for one in left.reports:
        kind: Kind = "error" if one.problem else "passed"
        text = one.problem or f"{one.path} is of this run"
        yield Case("stages", f"{one.stage}: {one.path}", kind, one.state, text)
    validation, decision = left.written("validate", Validation), left.current("decide", Decision)
    if validation is not None:
        yield from expectations(validation)
    if decision is not None:
        yield from gates(decision)


def expectations(validation: Validation) -> Iterator[Case]:
    """One case for each expectation that is not met, and one for all the others."""
    met = validation.expectations - len(validation.findings)
    rows = f"{validation.rows:,} rows of {validation.units} units"
    if validation.expectations:
        text = f"{met} of {validation.expectations} expectations are met by {rows}"
        yield Case("expectations", "all others", "passed", "met", text)
    else:
        yield Case("expectations", "all", "error", "none", f"no expectation was asked of {rows}")
    for finding in validation.findings:
        yield _expectation(finding)


def _expectation(finding: Finding) -> Case:
    column = f"column {finding.column}" if finding.column else "table"
    text = f"{finding.severity}: {column}: {finding.rule} fails {finding.count:,} times ({finding.share:.3%} of rows)"
    if finding.quarantined:
        text += "; these rows are in quarantine and left out"
    properties = {
        "column": finding.column,
        "rule": finding.rule,
        "severity": finding.severity,
        "count": str(finding.count),
        "share": f"{finding.share:.6g}",
    }
    return Case(
        "expectations",
        f"{column}: {finding.rule}",
        "failure",
        finding.severity,
        "\n".join([text, *(f"first: {row}" for row in finding.first_rows)]),
        tuple(properties.items()),
    )


def gates(decision: Decision) -> Iterator[Case]:
    """One case for each gate. One that is advice only fails, too, and its name says what it is."""
    if not decision.verdicts:
        yield Case("gates", "decision", "error", "none", "reports/decide.json holds no verdict, so nothing is accepted")
    for verdict in decision.verdicts:
        yield _gate(verdict, advisory=verdict.name in decision.advisory)


def _gate(verdict: Verdict, *, advisory: bool) -> Case:
    figures = {
        "value": _figure(verdict.value),
        "limit": _figure(verdict.limit),
        "unit": verdict.unit,
        "provenance": verdict.provenance,
        "evidence": ", ".join(verdict.evidence),
        "advisory": "yes" if advisory else "no",
    }
    note = " (advisory: it does not reject)" if advisory else ""
    return Case(
        "gates",
        f"{verdict.name} (advisory)" if advisory else verdict.name,
        "passed" if verdict.outcome == "PASS" else "failure",
        verdict.outcome,
        "\n".join(
            [
                f"{verdict.outcome}{note}: {verdict.reason}",
                f"value {figures['value']}, limit {figures['limit']}, unit {verdict.unit}, {verdict.provenance}",
            ]
        ),
        tuple(figures.items()),
    )


def _figure(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "none"
