"""The space of a sweep as Optuna has it, and who looks for good places in it."""

import hashlib
from typing import TYPE_CHECKING

from wattline.params import PrunerParams
from wattline.sweep.plan import Plan

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

STEPS = 1000
"""A report is placed by the share of the work that was done then, in so many parts: it is the same place after a
resumption, and for trials whose work is divided into another number of epochs."""


def draw(trial: "Trial", plan: Plan) -> None:
    """Draw the value of every option for `trial`; those that were given to it stay."""
    for key, knob in plan.sweep.space.items():
        if knob.choices:
            trial.suggest_categorical(key, list(knob.choices))
        elif isinstance(knob.low, int) and isinstance(knob.high, int):
            trial.suggest_int(key, knob.low, knob.high, step=int(knob.step or 1), log=knob.log)
        else:
            assert knob.low is not None
            assert knob.high is not None
            trial.suggest_float(key, knob.low, knob.high, step=knob.step, log=knob.log)


def sampler(plan: Plan, slot: int) -> "BaseSampler":
    """Who draws the values of one trial. Seeded by the trial's own place: who else draws, and when, does not matter."""
    from optuna.samplers import RandomSampler, TPESampler

    digest = hashlib.sha256(f"{plan.seed} {slot}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big")
    return RandomSampler(seed=seed) if plan.sweep.sampler == "random" else TPESampler(seed=seed)


def pruner(params: PrunerParams) -> "BasePruner":
    from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner

    first = max(1, round(STEPS * params.first_share))
    if params.kind == "median":
        return MedianPruner(n_startup_trials=params.first_trials, n_warmup_steps=first)
    if params.kind == "halving":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=4)
    return NopPruner()
