"""From what lies in the workspaces to the record: figures of every model, and the choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wattline import environment, files
from wattline.bakeoff import choosing, duel, measuring, plan
from wattline.bakeoff.measuring import Measured
from wattline.bakeoff.plan import Model
from wattline.bakeoff.record import Bakeoff, Entrant, Inputs
from wattline.bakeoff.workspace import Workspace
from wattline.errors import IntegrityError
from wattline.params import Params
from wattline.records import Candidate, Evaluation, Metric, TrainingEnergy


@dataclass(frozen=True)
class Outcome:
    """What became of one model in `train` and `evaluate`.

    failure: why it did not get through, in one sentence
    """

    model: Model
    place: Workspace
    failure: str | None

    def evaluation(self) -> Evaluation:
        return files.read_record(self.place.report("evaluate"), Evaluation)


def assemble(outcomes: Sequence[Outcome], loaded: Params, shared: Inputs, *, headline: Metric) -> Bakeoff:
    """Measure all models that got so far in turns, and choose one."""
    finished = {one.model.name: one for one in outcomes if one.failure is None}
    session = measuring.measured({name: one.place for name, one in finished.items()}, loaded, shared)
    evaluations = {name: one.evaluation() for name, one in finished.items()}
    entrants = [_entrant(one, session, headline=headline) for one in outcomes]
    rule, evidence = plan.section(loaded).rule, loaded.block.gates.energy.evidence
    choice = choosing.choose(entrants, rule, headline=headline, evidence=evidence)
    places = {one.model.name: one.place for one in outcomes}
    return Bakeoff(
        task=loaded.task.name,
        headline=headline,
        rule=rule,
        seed=loaded.seed,
        inputs=shared.model_copy(update={"rows_sha256": _rows(evaluations)}),
        machine=environment.machine(),
        evidence=evidence,
        entrants=choosing.listed(entrants, choice, rule, headline=headline),
        choice=choice,
        turns=session.turns,
        versus=duel.hold(choice, places, evaluations, loaded, shared),
    )


def _entrant(outcome: Outcome, session: Measured, *, headline: Metric) -> Entrant:
    model, place = outcome.model, outcome.place
    entrant = Entrant(name=model.name, options=model.overrides, identity=model.identity, failure=outcome.failure)
    if outcome.failure is not None:
        return entrant
    candidate = files.read_record(place.candidate / "candidate.json", Candidate)
    figures = {
        "digest": candidate.digest,
        "parameters": candidate.parameters,
        "headline": outcome.evaluation().contenders["candidate"][headline.name],
        "performance": session.performances.get(model.name),
        "training": files.read_record(place.report("train_energy"), TrainingEnergy).total,
        "failure": session.failures.get(model.name),
    }
    return entrant.model_copy(update=figures)


def _rows(evaluations: Mapping[str, Evaluation]) -> str | None:
    """Digest of the rows on which all were scored. Raises IntegrityError when they were not the same."""
    found = {evaluation.rows_sha256 for evaluation in evaluations.values()}
    if len(found) > 1:
        raise IntegrityError(f"the models were scored on different rows: {', '.join(sorted(evaluations))}")
    return found.pop() if found else None
