"""The trials of a study: who takes which, what becomes of one whose worker died, and how many there are.

A trial of the report has a slot, 0 to N-1. All slots are put in line before any worker starts, so that there are never
more or fewer, however many workers come, die and come back. One that is lost is marked so and put in line again.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wattline.errors import WattlineError
from wattline.sweep import space
from wattline.sweep.plan import Plan

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

SLOT, ATTEMPT, WORKER, BEAT, LOST, REASON = "slot", "attempt", "worker", "beat", "lost", "reason"
SILENT_BEATS = 3
"""So many signs of life that fail to come mean that a worker is dead."""


class FirstTrialError(WattlineError):
    """The first trial, the measure of all others, has failed: no other one needs to run."""


class Trials:
    """The trials of one study. Every change is a comparison and an exchange in the storage: of two, one wins."""

    def __init__(self, plan: Plan, storage: "BaseStorage", *, higher_is_better: bool) -> None:
        import optuna

        self.plan = plan
        self.storage = storage
        pruner = space.pruner(plan.sweep.pruner)
        self.study: Study
        try:
            self.study = optuna.load_study(study_name=plan.study, storage=storage, pruner=pruner)
        except KeyError:
            self.study = optuna.create_study(
                study_name=plan.study,
                storage=storage,
                pruner=pruner,
                direction="maximize" if higher_is_better else "minimize",
                load_if_exists=True,
            )
        self._study_id = storage.get_study_id_from_name(plan.study)

    def all(self) -> "list[FrozenTrial]":
        """Everything that was ever put in line, lost attempts included, the first one first."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if SLOT in trial.user_attrs]

    def results(self) -> "dict[int, FrozenTrial]":
        """Slot -> the trial that counts, for each slot that is done."""
        done: dict[int, FrozenTrial] = {}
        for trial in self.all():
            if is_done(trial) and trial.user_attrs[SLOT] < self.plan.sweep.trials:
                done.setdefault(trial.user_attrs[SLOT], trial)
        return dict(sorted(done.items()))

    def running(self) -> "list[FrozenTrial]":
        return [trial for trial in self.all() if trial.state.name == "RUNNING"]

    def progress(self) -> tuple[int, int, int]:
        """Another one whenever something came of it: how many are done, how far the others ever got, who died.

        A trial that was handed back where it was taken is no progress; one whose worker died cannot die for ever.
        """
        furthest: dict[int, int] = {}
        begun: dict[int, int] = {}
        for trial in self.all():
            slot = trial.user_attrs[SLOT]
            furthest[slot] = max([furthest.get(slot, 0), *trial.intermediate_values])
            begun[slot] = trial.user_attrs[ATTEMPT]
        return len(self.results()), sum(furthest.values()), sum(begun.values())

    def fill(self) -> None:
        """Put every slot in line that is not, and is not done. One process at a time does this."""
        known: dict[int, list[FrozenTrial]] = {}
        for trial in self.all():
            known.setdefault(trial.user_attrs[SLOT], []).append(trial)
        for slot in range(self.plan.sweep.trials):
            self._put_in_line(slot, known.get(slot, []))

    def _put_in_line(self, slot: int, former: "Sequence[FrozenTrial]") -> None:
        """With the values that were drawn for it before, if any."""
        if any(is_done(one) or one.state.name in ("WAITING", "RUNNING") for one in former):
            return
        values: Mapping[str, Any] = self.plan.defaults if slot == 0 else {}
        if former:
            drawn = former[-1].params
            # Of one that was killed while it drew, the rest would come out different: it draws them all again.
            whole = len(drawn) == len(self.plan.sweep.space)
            values = drawn if whole else former[-1].system_attrs.get("fixed_params", {})
        begun = former[-1].user_attrs[ATTEMPT] if former else 0
        self.study.enqueue_trial(dict(values), user_attrs={SLOT: slot, ATTEMPT: begun})

    def claim(self, worker: str) -> "Trial | None":
        """Take the first slot in line, with its values drawn; None where none is."""
        from optuna import Trial

        waiting = [trial for trial in self.all() if trial.state.name == "WAITING"]
        for trial in sorted(waiting, key=lambda one: (one.user_attrs[SLOT], one.number)):
            slot = trial.user_attrs[SLOT]
            if self._wanted(trial) and self._exchange(trial.number, "RUNNING"):
                self.study.sampler = space.sampler(self.plan, slot)
                taken = Trial(self.study, self._id(trial.number))
                taken.set_user_attr(WORKER, worker)
                taken.set_user_attr(ATTEMPT, trial.user_attrs[ATTEMPT] + 1)
                space.draw(taken, self.plan)
                return taken
        return None

    def claim_is_empty(self) -> bool:
        """Whether nobody has to be waited for: no slot is in line."""
        return not any(trial.state.name == "WAITING" and self._wanted(trial) for trial in self.all())

    def attempt(self, number: int) -> "FrozenTrial":
        """One attempt as it stands."""
        return self.storage.get_trial(self._id(number))

    def beat(self, number: int, count: int) -> None:
        """A sign of life of the worker that runs this trial."""
        self.storage.set_trial_user_attr(self._id(number), BEAT, count)

    def finish(self, number: int, state: str, *, value: float | None, reason: str = "") -> bool:
        """Say what came out; whether it counts. It does not where the worker was taken for dead meanwhile."""
        if reason and not self._note(number, REASON, reason):
            return False
        return self._exchange(number, state, values=None if value is None else [value])

    def release(self, trial: "FrozenTrial", *, died: bool) -> bool:
        """Take a trial from its worker and put its slot in line again; whether it was this call that did.

        died: that the worker was not asked to hand it back; after `attempts` of these the trial has failed
        """
        begun = trial.user_attrs.get(ATTEMPT, 1)
        if died and begun >= self.plan.sweep.attempts:
            why = f"its worker died {begun} times; look into its log, e.g. for a lack of memory"
            return self.finish(trial.number, "FAIL", value=None, reason=why)
        if not died and not self._note(trial.number, ATTEMPT, max(0, begun - 1)):
            return False
        if not self._note(trial.number, LOST, True) or not self._exchange(trial.number, "FAIL"):
            return False
        slot = trial.user_attrs[SLOT]
        self._put_in_line(slot, [one for one in self.all() if one.user_attrs[SLOT] == slot])
        return True

    def release_of(self, worker: str, *, died: bool) -> int:
        """Take all trials from a worker that is known to have ended, or from all whose name begins so."""
        return sum(
            self.release(trial, died=died)
            for trial in self.running()
            if str(trial.user_attrs.get(WORKER, "")).startswith(worker)
        )

    def _wanted(self, trial: "FrozenTrial") -> bool:
        return bool(trial.user_attrs[SLOT] < self.plan.sweep.trials)

    def _note(self, number: int, name: str, value: object) -> bool:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self.storage.set_trial_user_attr(self._id(number), name, value)
        except UpdateFinishedTrialError:
            return False
        return True

    def _exchange(self, number: int, state: str, *, values: Sequence[float] | None = None) -> bool:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            return self.storage.set_trial_state_values(self._id(number), TrialState[state], values)
        except UpdateFinishedTrialError:
            return False

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


def is_done(trial: "FrozenTrial") -> bool:
    """Whether a trial has come to a result, be it a failure of its own."""
    state = trial.state.name
    return state in ("COMPLETE", "PRUNED") or (state == "FAIL" and not trial.user_attrs.get(LOST))


class Watch:
    """Tells who is dead by what is seen from here alone: clocks of two machines are never compared."""

    def __init__(self, heartbeat_seconds: float) -> None:
        self._patience = SILENT_BEATS * heartbeat_seconds
        self._seen: dict[int, tuple[object, float]] = {}
        self._alive: set[int] = set()

    def look(self, running: "Sequence[FrozenTrial]") -> "list[FrozenTrial]":
        """Trials whose worker has given no sign of life for too long."""
        now = time.monotonic()
        for trial in running:
            beat = (trial.user_attrs.get(WORKER), trial.user_attrs.get(BEAT))
            former = self._seen.get(trial.number)
            if former is None or former[0] != beat:
                self._seen[trial.number] = (beat, now)
                if former is not None:
                    self._alive.add(trial.number)
        return [trial for trial in running if now - self._seen[trial.number][1] > self._patience]

    def all_alive(self, running: "Sequence[FrozenTrial]") -> bool:
        """Whether each was seen to live since the watch began."""
        return all(trial.number in self._alive for trial in running)
