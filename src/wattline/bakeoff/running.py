"""The bake-off from params.yaml to a report: train and score each model, measure all in turns, choose, write."""

from collections.abc import Callable

from wattline import editing, params
from wattline.bakeoff import attempt, plan, table, workspace, writing
from wattline.bakeoff.assembling import Outcome, assemble
from wattline.bakeoff.plan import Model
from wattline.bakeoff.record import Bakeoff
from wattline.errors import RejectedError
from wattline.interruption import ended_by_sigterm
from wattline.params import Params

Say = Callable[[str], object]


def run(*, write: bool = False, say: Say = print) -> Bakeoff:
    """Run every model of params.yaml that was not run before, and write reports/bakeoff.

    write: also write the options of the chosen model into the section `train` of params.yaml
    Raises InputError for params that cannot be run, RejectedError when no model meets the rule: all is written then.
    """
    loaded, tree = params.load(), editing.read()
    task = params.load_task(loaded.task)
    shared = plan.inputs(task)
    models = plan.models(loaded, task, shared)
    with workspace.held() as lock, ended_by_sigterm():
        outcomes = []
        for model in models:
            place = workspace.make(model, loaded, shared, tree=tree)
            outcomes.append(Outcome(model, place, attempt.run(model, place, loaded, lock=lock, say=say)))
        result = assemble(outcomes, loaded, shared, headline=task.description.headline)
        writing.write(result)
    say("\n" + "\n".join(table.lines(result)))
    check_chosen(result)
    if write:
        adopt(next(model for model in models if model.name == result.choice.name), loaded)
        say(f"written      {params.FILE}: {loaded.task.name}.train is that of {result.choice.name}")
    return result


def check_chosen(result: Bakeoff) -> None:
    """Raise RejectedError, with the reason for each model, when none meets the rule."""
    if result.choice.name is None:
        reasons = "; ".join(f"{name}: {why}" for name, why in result.choice.obstacles.items())
        raise RejectedError(f"{result.choice.reason} ({reasons}); the table is {writing.FOLDER / writing.TABLE}")


def adopt(model: Model, loaded: Params) -> None:
    """Write the options of a model into the section `train` of params.yaml, keeping comments."""
    tree = editing.read()
    editing.update(tree[loaded.task.name]["train"], model.options)
    editing.replace_checked(params.FILE, editing.text(tree))
