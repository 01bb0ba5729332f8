"""The answer: a title and one sentence, which say all to who reads no further."""

import re
from collections.abc import Sequence

from wattline.gitlab.note.escape import code, plain
from wattline.gitlab.note.figures import direction, number, scored, spent
from wattline.gitlab.note.known import Known
from wattline.records import Decision, Verdict

LONGEST = 220
"""Characters of a reason in the title."""
COMPARISON = re.compile(" [<>]=? ")
"""What comes after it, behind a colon, explains it."""


def headline(known: Known) -> str:
    """Two paragraphs: what was decided and why, and the figures that matter most."""
    title, sentence = _answer(known)
    return f"## {title}\n\n{sentence}"


def counted(decision: Decision) -> list[Verdict]:
    """Verdicts that are no mere advice."""
    return [verdict for verdict in decision.verdicts if verdict.name not in decision.advisory]


def short(reason: str) -> str:
    """The part of a reason that decided, not too long."""
    clauses = reason.split("; ")
    clause = next((one for one in clauses if "FAIL:" in one or "REFUSE:" in one), clauses[0])
    parts = clause.split(": ")
    ends = (": ".join(parts[: place + 1]) for place in range(len(parts)))
    found = next((one for one in ends if COMPARISON.search(one)), clause)
    return found if len(found) <= LONGEST else f"{found[:LONGEST]} ..."


def _answer(known: Known) -> tuple[str, str]:
    decision = known.now.decision
    if known.needs_no_candidate:
        return "\u2796 Nothing to judge: no stage's inputs changed", _unchanged(known)
    if decision is None or not decision.verdicts:
        return f"\u26a0\ufe0f Not judged: {_obstacle(known)}", _undecided(known)
    foreign = known.now.foreign()
    if foreign:
        names = ", ".join(code(f"reports/{stage}.json") for stage in foreign)
        return (
            f"\u26a0\ufe0f Not judged: {names} and the decision are about different candidates",
            "The reports are of two runs, so none of their figures is an answer. Run the pipeline again.",
        )
    return _title(known, decision), _figures(known)


def _title(known: Known, decision: Decision) -> str:
    verdicts = counted(decision)
    failed = [one for one in verdicts if one.outcome == "FAIL"]
    refused = [one for one in verdicts if one.outcome == "REFUSE"]
    name = code(known.now.trained.model) if known.now.trained else "the candidate"
    if failed:
        return f"\u274c Rejected by {_named(failed)}: {plain(short(failed[0].reason))}"
    if refused:
        return f"\u26d4 Refused by {_named(refused)}: {plain(short(refused[0].reason))}"
    if not decision.accepted:
        return "\u26a0\ufe0f Not judged: every gate is advice only, so nothing decides"
    passed = sum(one.outcome == "PASS" for one in decision.verdicts)
    return f"\u2705 Accepted: {name} passes {passed} of {len(decision.verdicts)} gates{_advice(decision)}"


def _advice(decision: Decision) -> str:
    ignored = [one for one in decision.verdicts if one.name in decision.advisory and one.outcome != "PASS"]
    return f"; {_named(ignored)} does not, and is advice only" if ignored else ""


def _named(verdicts: Sequence[Verdict]) -> str:
    shown = code(verdicts[0].name)
    return shown if len(verdicts) == 1 else f"{shown} and {len(verdicts) - 1} more"


def _figures(known: Known) -> str:
    """Headline metric, its difference to the champion, joules of an answer, and what went wrong elsewhere."""
    said = []
    evaluation, measurement = known.now.evaluation, known.now.measurement
    if evaluation is not None and "candidate" in evaluation.contenders:
        metric = evaluation.headline
        score = evaluation.contenders["candidate"].get(metric.name)
        said.append(f"{code(metric.name)} **{scored(score, metric.unit)}** on {evaluation.rows:,} test rows")
        difference = evaluation.versus_champion.get(metric.name)
        if evaluation.champion.version is None:
            said.append("no champion yet to compare with")
        elif difference is not None:
            version = code(evaluation.champion.version)
            said.append(
                f"{number(difference.value, signed=True)} to champion version {version} "
                f"({direction(difference, metric)})"
            )
    if measurement is not None:
        energy = measurement.candidate.energy_per_1000
        said.append(f"**{spent(energy)}** per 1,000 predictions, {energy.provenance}")
    sentence = "; ".join(said) + "." if said else "No figures: the reports that hold them cannot be read."
    return f"{sentence}{_failures(known)}"


def _failures(known: Known) -> str:
    failed = known.jobs.failed
    names = ", ".join(code(job.name) for job in failed if job.status != "skipped") or ""
    return f" **Failed in this pipeline:** {names}." if names else ""


def _obstacle(known: Known) -> str:
    broken = known.jobs.broken
    if broken:
        return f"job {code(broken[0].name)} {_ended(broken[0].status)}"
    if "decide" in known.now.unreadable:
        return f"{code('reports/decide.json')} cannot be read"
    if known.now.decision is not None:
        return "no gate was asked"
    if "decide" in known.leftover:
        if not known.jobs.known:
            return f"GitLab does not tell how the jobs ended, and {code('reports/decide.json')} is as the commit has it"
        return f"no job of this pipeline made a candidate, and {code('reports/decide.json')} is an earlier one's"
    return f"{code('reports/decide.json')} is missing"


def _undecided(known: Known) -> str:
    if known.jobs.broken and known.jobs.broken[0].place:
        where = " The log of that job says why."
    elif known.jobs.known:
        where = " Look at the jobs of data_prep, train and validate."
    else:
        where = " Run `dvc repro` to make it."
    return f"There is no decision on this change, and what is not decided is not accepted.{where}{_failures(known)}"


def _ended(status: str) -> str:
    return {"failed": "failed", "skipped": "was left out"}.get(status, "was cancelled")


def _unchanged(known: Known) -> str:
    changed = len(known.base.changed or ())
    what = f"{changed:,} file{'s' if changed != 1 else ''} changed, none of them an input of a stage of `dvc.yaml`"
    decision = known.now.decision
    if decision is None:
        return f"{what}, so nothing was trained. There is no decision on the target branch either.{_failures(known)}"
    stands = "accepted" if decision.accepted else "not accepted"
    return f"{what}, so nothing was trained. The model stays as it is, and was **{stands}**.{_failures(known)}"
