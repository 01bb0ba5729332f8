"""reports/sweep.json: every trial, the best one, and whether it beats the default; with a picture."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from wattline import charts, files
from wattline.energy.sums import add
from wattline.records import Energy
from wattline.sweep import record
from wattline.sweep.plan import Plan, higher_is_better, metric_of
from wattline.sweep.record import Best, Sweep, Trial
from wattline.sweep.study import ATTEMPT, REASON, SLOT, WORKER, Trials
from wattline.task import Task

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

REPORT = "sweep"
PICTURE = files.REPORTS / "sweep" / "history.png"
NO_UNIT = "as the task reports it"


def made(trials: Trials, task: Task) -> Sweep:
    """The outcome as far as trials are done."""
    plan = trials.plan
    found = tuple(_trial(plan, one) for one in trials.results().values())
    metric = metric_of(plan.sweep.objective, task)
    energy, note = _energy(found)
    return Sweep(
        study=plan.study,
        task=plan.task.name,
        objective=plan.sweep.objective,
        unit=metric.unit if metric else NO_UNIT,
        higher_is_better=higher_is_better(plan, task),
        seed=plan.seed,
        data=plan.data,
        prepared_sha256=plan.prepared_sha256,
        code_sha256=plan.code_sha256,
        sampler=plan.sweep.sampler,
        pruner=plan.sweep.pruner.kind,
        reproducible=_reproducible(plan, found),
        trials=found,
        best=best_of(found, higher=higher_is_better(plan, task)),
        energy=energy,
        energy_note=note,
    )


def write(found: Sweep) -> None:
    """Write the record and the picture."""
    files.write_report(REPORT, found)
    files.write_bytes(PICTURE, picture(found))


def picture(found: Sweep) -> bytes:
    points = [(one.slot, one.objective, one.state) for one in found.trials if one.objective is not None]
    return charts.history(
        points,
        label=f"{found.objective} [{found.unit}] of the validation part",
        higher_is_better=found.higher_is_better,
        title=_title(found),
    )


def best_of(trials: Sequence[Trial], *, higher: bool) -> Best | None:
    """The completed trial with the best objective; of equal ones the first. None where none was completed."""
    done = [one for one in trials if one.state == "COMPLETE" and one.objective is not None]
    if not done:
        return None
    sign = -1.0 if higher else 1.0
    best = min(done, key=lambda one: (sign * (one.objective or 0.0), one.slot))
    default = next((one.objective for one in done if one.slot == 0), None)
    assert best.objective is not None
    beats = default is not None and best.slot != 0 and sign * best.objective < sign * default
    if default is None:
        reason = "the first trial, which has the present values, was not completed: nothing was beaten"
    elif beats:
        reason = f"trial {best.slot} has {best.objective:.6g}, the present values have {default:.6g}"
    else:
        reason = f"no trial is better than the present values, which have {default:.6g}"
    return Best(
        slot=best.slot,
        values=best.values,
        objective=best.objective,
        default_objective=default,
        beats_default=beats,
        reason=reason,
    )


def lines(found: Sweep) -> Iterator[str]:
    """The outcome for a terminal."""
    count = {state: sum(one.state == state for one in found.trials) for state in ("COMPLETE", "PRUNED", "FAIL")}
    yield (
        f"study        {found.study}: {count['COMPLETE']} completed, {count['PRUNED']} given up early, "
        f"{count['FAIL']} failed"
    )
    yield f"energy       {_spent(found)}"
    if found.best is None:
        yield "best         none: no trial was completed"
        return
    yield f"best         {found.best.reason}; {found.objective} on the validation part"
    yield from (f"             {key}: {value}" for key, value in found.best.values.items())


def _spent(found: Sweep) -> str:
    if found.energy is None:
        return found.energy_note
    low, high = found.energy.interval
    return f"{found.energy.joules:.4g} [{low:.4g}, {high:.4g}] J {found.energy.provenance}: {found.energy.sensor}"


def _title(found: Sweep) -> str:
    if found.best is None:
        return f"No trial of {len(found.trials)} was completed"
    word = "beats" if found.best.beats_default else "does not beat"
    return f"The best of {len(found.trials)} trials {word} the present values"


def _trial(plan: Plan, frozen: "FrozenTrial") -> Trial:
    """A trial that is done: as its worker wrote it down, or what the storage has of one whose worker died."""
    path = record.path_of(plan.folder, frozen.number)
    if path.is_file():
        return files.read_record(path, Trial)
    known: Mapping[str, object] = frozen.user_attrs
    began, ended = (
        round(at.timestamp() * 1000) if at else 0 for at in (frozen.datetime_start, frozen.datetime_complete)
    )
    return Trial(
        study=plan.study,
        slot=frozen.user_attrs[SLOT],
        number=frozen.number,
        state="PRUNED" if frozen.state.name == "PRUNED" else "COMPLETE" if frozen.state.name == "COMPLETE" else "FAIL",
        values=frozen.params,
        objective=frozen.value,
        reason=str(known.get(REASON, "its record is not in this state folder")),
        worker=str(known.get(WORKER, "unknown")),
        attempts=max(1, frozen.user_attrs.get(ATTEMPT, 1)),
        started_ms=began,
        ended_ms=ended,
    )


def _energy(trials: Sequence[Trial]) -> tuple[Energy | None, str]:
    known = [one.energy for one in trials if one.energy is not None]
    if not known or len(known) < len(trials):
        lacking = next((one for one in trials if one.energy is None), None)
        said = f"trial {lacking.slot}: {lacking.reason or 'not counted'}" if lacking else "no trial is done"
        return None, f"not known of all trials ({said})"
    return add(known, seconds=sum(one.seconds for one in known)), ""


def _reproducible(plan: Plan, trials: Sequence[Trial]) -> str:
    if plan.sweep.sampler == "random" and plan.sweep.pruner.kind == "none":
        return "yes: every trial draws by a seed of its own and looks at no other"
    if len({one.worker for one in trials}) <= 1 and all(one.attempts == 1 for one in trials):
        return "yes, by one worker: every trial draws by a seed of its own and looks at those before it"
    return "no: what a trial draws, or is pruned by, depends on which others were done by then"
