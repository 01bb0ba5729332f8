"""The part of the site about the decision: the answer in one sentence, and what each gate said."""

from wattline.gitlab.reports.left import Left
from wattline.gitlab.site import html
from wattline.gitlab.site.figures import quantity
from wattline.gitlab.site.html import Cell, Tone
from wattline.records import Decision, Verdict

TONES: dict[str, Tone] = {"PASS": "good", "FAIL": "bad", "REFUSE": "unsure"}


def answer(left: Left) -> str:
    """Whether the candidate was accepted; after a failed run, that there is no answer and why."""
    decision = left.current("decide", Decision)
    if decision is None:
        return html.answer("No decision: the run failed before there was one", "bad", *left.problems[:1])
    failed = [one.name for one in _counting(decision) if one.outcome != "PASS"]
    if left.problems:
        return html.answer("Not complete: a report is missing or of an earlier run", "bad", *left.problems[:1])
    if not decision.accepted:
        what = f"{', '.join(failed)} did not pass" if failed else "there is no verdict that counts"
        return html.answer(f"Rejected: {what}", "bad", _compared(decision))
    return html.answer(f"Accepted: all {len(_counting(decision))} gates passed", "good", _compared(decision))


def _compared(decision: Decision) -> str:
    if decision.energy is None:
        return ""
    version = decision.energy.champion
    return (
        f"Compared with champion version {version}." if version else "Compared with nothing: there is no champion yet."
    )


def _counting(decision: Decision) -> list[Verdict]:
    return [one for one in decision.verdicts if one.name not in decision.advisory]


def table(left: Left) -> str:
    """One row for each gate; nothing without a decision of this run."""
    decision = left.current("decide", Decision)
    if decision is None:
        return ""
    heads = ("gate", "answer", "value", "limit", "provenance", "reason")
    rows = (_row(one, advisory=one.name in decision.advisory) for one in decision.verdicts)
    return html.table("What each gate answered", heads, rows, stack=True)


def _row(verdict: Verdict, *, advisory: bool) -> list[Cell]:
    name = html.text(f"{verdict.name} (advisory)" if advisory else verdict.name)
    return [
        Cell(name.html, head=True),
        Cell(html.badge(verdict.outcome, TONES[verdict.outcome])),
        html.text(quantity(verdict.value, verdict.unit), "figure"),
        html.text(quantity(verdict.limit, verdict.unit), "figure"),
        html.text(verdict.provenance),
        html.Cell("".join(f"<div>{html.text(part).html}</div>" for part in verdict.reason.split("; ")), "reason"),
    ]
