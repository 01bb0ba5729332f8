"""One look: read what was served, ask the questions, apply the rule, open a retraining, leave a report."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wattline import files
from wattline.drift import columns
from wattline.drift.records import Drift
from wattline.gitlab.project import Project
from wattline.monitoring import champion, drift, energy, history, labels, metrics, report, retraining, rule, served
from wattline.monitoring.champion import Reference
from wattline.monitoring.nightly import check_registry
from wattline.monitoring.records import (
    Counters,
    Decision,
    Look,
    Precision,
    Production,
    Retraining,
    Signal,
    State,
)
from wattline.monitoring.served import Served
from wattline.params import Params
from wattline.settings import Settings

SCORE = "score"


@dataclass(frozen=True)
class Options:
    """How a person wants to look.

    rows: folder with new raw rows, to be looked at in the place of what a server was asked
    since: where the look begins; None: where the last one says
    reference: folder with the rows that `prepare` wrote for the champion
    dry_run: open nothing, say what would be opened
    """

    rows: Path | None = None
    since: datetime | None = None
    reference: Path = files.PREPARED
    dry_run: bool = False


@dataclass(frozen=True)
class _Findings:
    inputs: Drift
    scores: Drift
    labels: Precision
    energy: Production | None
    signals: tuple[Signal, ...]


def run(params: Params, known: Settings, options: Options) -> Look | None:
    """Look, and write the reports; None where there is no champion yet.

    Raises InputError when something is not there that a look needs, and what calls of GitLab raise.
    """
    now = datetime.now(UTC)
    files.report_path(report.NAME).unlink(missing_ok=True)  # that of an earlier look, should this one fail
    reference = champion.read(params, prepared=options.reference)
    if reference is None:
        check_registry(known)
        return None
    with ExitStack() as stack:
        project = stack.enter_context(Project.of_job(known)) if has_gitlab(known) else None
        before = _before(project, known)
        look, seen = _looked(params, known, options, reference=reference, before=before, now=now)
        made = _retraining(project, look.decision, params, known, options, now=now)
        look = look.model_copy(update={"retraining": made})
    report.write(look, served=seen.scores, reference=reference.scores, unit=_unit(reference))
    if project is None and not options.dry_run:
        history.keep(look.state, known.state)
    return look


def has_gitlab(known: Settings) -> bool:
    """Whether this is a job of a GitLab, whose token then must be there, or a laptop."""
    return known.gitlab_address is not None


def _before(project: Project | None, known: Settings) -> tuple[State, str] | None:
    if project is None:
        return history.of_folder(known.state)
    job = known.ci_job_name or history.JOB
    return history.of_project(project, ref=known.ci_default_branch, own_pipeline=known.ci_pipeline_id, job=job)


def _looked(
    params: Params,
    known: Settings,
    options: Options,
    *,
    reference: Reference,
    before: tuple[State, str] | None,
    now: datetime,
) -> tuple[Look, Served]:
    last = before[0] if before else None
    since = options.since or rule.begin(last, now=now, longest_hours=params.monitoring.longest_hours)
    if options.rows is None:
        seen = served.by_server(params, reference, place=known.served, since=since, now=now)
    else:
        seen = served.by_snapshot(params, reference, options.rows, place=known.served, now=now)
    counters = metrics.read(place, known) if (place := params.monitoring.energy.metrics) else None
    found = _findings(
        params, reference, seen, counted=energy.since(counters, last.counters if last else None) if counters else None
    )
    digest = reference.candidate.digest
    state = rule.next_state(found.signals, last, digest=digest, since=since, now=now, counters=counters)
    decision = rule.decide(found.signals, state, params.monitoring.rule)
    look = Look(
        model=params.model,
        version=reference.version,
        digest=digest,
        data=reference.candidate.data,
        since=since,
        until=now,
        source=seen.source,
        previous=before[1] if before else None,
        signals=found.signals,
        inputs=found.inputs,
        scores=found.scores,
        labels=found.labels,
        energy=found.energy,
        decision=decision,
        retraining=Retraining(outcome="not asked for", reason=decision.reason),
        state=state,
    )
    return look, seen


def _findings(params: Params, reference: Reference, seen: Served, *, counted: Counters | None) -> _Findings:
    knobs, seed = params.monitoring, params.seed
    units = {column.name: column.unit for column in reference.signature.columns}
    rows, scores = knobs.drift.minimum_rows, knobs.drift.minimum_scores
    inputs = columns.drift(reference.inputs, seen.inputs, knobs.drift, units=units, minimum=rows, seed=seed)
    answers = columns.drift(
        reference.scores, seen.scores, knobs.drift, units={SCORE: _unit(reference)}, minimum=scores, seed=seed
    )
    said = labels.precision(seen.labelled)
    budget = params.block.gates.energy.budget_joules
    cost = energy.production(counted, budget=budget, own=reference.energy) if counted else None
    signals = (
        drift.signal("inputs", inputs, knobs.drift, minimum=rows, what="rows"),
        drift.signal("scores", answers, knobs.drift, minimum=scores, what="answers"),
        labels.signal(said, knobs.labels),
        energy.signal(cost, knobs.energy),
    )
    return _Findings(inputs, answers, said, cost, signals)


def _retraining(
    project: Project | None, decision: Decision, params: Params, known: Settings, options: Options, *, now: datetime
) -> Retraining:
    if project is None:
        reason = "CI_API_V4_URL and CI_PROJECT_ID are not set, so no pipeline can be opened from here"
        return Retraining(outcome="no GitLab" if decision.retrain else "not asked for", reason=reason)
    return retraining.open_one(
        project,
        decision,
        ref=known.ci_default_branch,
        now=now,
        cool_down_hours=params.monitoring.rule.cool_down_hours,
        dry_run=options.dry_run,
    )


def _unit(reference: Reference) -> str:
    return next(tensor.unit for tensor in reference.signature.outputs if tensor.name == SCORE)
