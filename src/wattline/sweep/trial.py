"""One trial: train with its values where no test row is, and say what came out on the validation part."""

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wattline import editing, splits
from wattline.checkpoints import Kept, Told
from wattline.errors import InputError, PausedError, SupersededError, WattlineError
from wattline.files import PREPARED
from wattline.params import typed
from wattline.records import Metric
from wattline.sweep import options, space
from wattline.sweep.plan import Plan, metric_of
from wattline.sweep.record import State, Trial
from wattline.sweep.spent import Spent
from wattline.sweep.study import ATTEMPT, SLOT, WORKER
from wattline.task import Run, Series, Task, Trained, TrainingData

if TYPE_CHECKING:
    from optuna import Trial as Claimed

Curves = Sequence[Mapping[str, float]]
WINDOWS = 4096
"""In one call of a trained model, so that memory is bounded."""


@dataclass
class Figures:
    """What the training of one trial reported so far.

    told: what signals have said; a task that keeps no checkpoints is stopped here
    """

    claimed: "Claimed"
    plan: Plan
    told: Told
    curves: list[Mapping[str, float]] = field(default_factory=list)
    steps: set[int] = field(default_factory=set)

    def report(self, what: str, done: float, figures: Mapping[str, float]) -> None:
        """Take the figures of one epoch. Raises TrialPruned or PausedError where the trial is not to go on."""
        from optuna import TrialPruned

        if self.told.by is not None and not self.told.heeded:
            raise self.told.error(f"trial {self.claimed.user_attrs[SLOT]} is handed back at {what}")
        value = figures.get(self.plan.sweep.objective)
        if value is None:
            return
        self.curves.append(dict(figures))
        if not math.isfinite(value):
            raise WattlineError(f"training diverged: {self.plan.sweep.objective} is {value} at {what}")
        step = round(space.STEPS * done)
        if step not in self.steps:
            self.steps.add(step)
            self.claimed.report(value, step)
        # The first trial is what the others are measured by: without its end nothing can be beaten.
        if done < 1 and self.claimed.user_attrs[SLOT] > 0 and self.claimed.should_prune():
            raise TrialPruned


def run(claimed: "Claimed", plan: Plan, task: Task, data: TrainingData, *, told: Told) -> Trial:
    """Train the trial that was claimed, from its last checkpoint on. What goes wrong with its values is its result.

    Raises PausedError when the worker was told to end, SupersededError when another one has taken the trial.
    """
    from optuna import TrialPruned

    began, slot = time.time_ns() // 1_000_000, claimed.user_attrs[SLOT]
    figures = Figures(claimed, plan, told)
    state: State = "COMPLETE"
    objective, reason, spent = None, "", Spent(plan, slot)
    try:
        kept = checkpoints(plan, slot, told)
        trained = _train(plan, task, data, claimed.params, figures=figures, kept=kept)
        figures.curves = list(trained.curves)
        objective = objective_of(trained, plan, task, data)
    except TrialPruned:
        state, objective = "PRUNED", _best(figures.curves, plan)
    except (PausedError, SupersededError):
        spent.lose()
        raise
    except Exception as error:  # whatever a task does with options that nobody tried before
        state, reason = "FAIL", _sentence(error)
    except BaseException:
        spent.lose()
        raise
    finally:
        told.heeded = False
    energy, note = spent.total()
    return Trial(
        study=plan.study,
        slot=slot,
        number=claimed.number,
        state=state,
        values=claimed.params,
        objective=objective,
        curves=tuple(figures.curves),
        reason=reason or note,
        worker=claimed.user_attrs[WORKER],
        attempts=claimed.user_attrs[ATTEMPT],
        energy=energy,
        started_ms=began,
        ended_ms=time.time_ns() // 1_000_000,
    )


def checkpoints(plan: Plan, slot: int, told: Told) -> Kept:
    """Those of one trial, whichever worker runs it. A worker that was taken for dead is kept from writing."""
    folder = plan.folder / "checkpoints" / f"{slot:04}"
    return Kept(folder, identity=f"{plan.study} {slot}", minutes=plan.checkpoint_minutes, told=told)


def _train(
    plan: Plan, task: Task, data: TrainingData, values: Mapping[str, object], *, figures: Figures, kept: Kept
) -> Trained:
    """Train in a folder that holds no test row, nor raw rows."""
    train = typed(task.options, editing.merged(plan.train, options.nested(values)), where="the values of the trial")
    with contextlib.chdir(plan.view):
        return task.train(data, train, Run(seed=plan.seed, report=figures.report, checkpoints=kept))


def read_data(plan: Plan) -> TrainingData:
    """The rows of train and validation. There are no others in the view."""
    return splits.read_training_data(plan.view / PREPARED)


def objective_of(trained: Trained, plan: Plan, task: Task, data: TrainingData) -> float:
    """What the trial came to. Raises WattlineError where that is not a number."""
    metric = metric_of(plan.sweep.objective, task)
    value = _metric(metric, trained, task, data) if metric else _best(trained.curves, plan, epoch=plan.sweep.epoch)
    if value is None:
        known = ", ".join(trained.curves[0]) if trained.curves else "none"
        raise InputError(
            f"sweep.objective is {plan.sweep.objective}, which is neither a metric of the task nor a figure of its "
            f"curves ({known})"
        )
    if not math.isfinite(value):
        raise WattlineError(f"{plan.sweep.objective} is {value}")
    return value


def _best(curves: Curves, plan: Plan, *, epoch: str = "best") -> float | None:
    """The figure of the curves that counts; None where they do not have it. Of what is no number, NaN."""
    found = [float(figures[plan.sweep.objective]) for figures in curves if plan.sweep.objective in figures]
    if not found:
        return None
    if epoch == "last" or not all(map(math.isfinite, found)):
        return found[-1] if math.isfinite(found[-1]) and epoch == "last" else math.nan
    return max(found) if plan.sweep.better == "higher" else min(found)


def _metric(metric: Metric, trained: Trained, task: Task, data: TrainingData) -> float:
    """Mean of a metric over the units of the validation part where it is defined; NaN where it is nowhere."""
    values = []
    for index, unit in enumerate(data.constants.units):
        series = data.validation[unit]
        outputs = _answers(trained, series, index)
        values.append(task.score(series.judged(), outputs, cadence_seconds=data.cadence_seconds)[metric.name])
    defined = [value for value in values if math.isfinite(value)]
    return float(np.mean(defined)) if defined else math.nan


def _answers(trained: Trained, series: Series, index: int) -> dict[str, np.ndarray]:
    """Outputs of the trained model for the judged rows of one unit, (rows, ...) each."""
    windows = series.windows(trained.steps)
    parts = []
    for at in range(0, len(windows), WINDOWS):
        some = np.ascontiguousarray(windows[at : at + WINDOWS])
        parts.append(trained.reference(some, np.full(len(some), index, dtype=np.int64)))
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def _sentence(error: Exception) -> str:
    said = " ".join(str(error).split())[:500]
    return said if isinstance(error, WattlineError) and said else f"{type(error).__name__}: {said}"
