from wattline.gates.evidence import Evidence
from wattline.records import Check

from ..cases import Holds
from ..samples import (
    CANDIDATE,
    DATASET,
    LIMITS,
    PROMOTED,
    SESSION,
    energy_test,
    evaluation,
    measurement,
    score,
    tested,
    validation,
)
from .energy import earlier

GOOD = {
    "dataset": DATASET,
    "candidate": CANDIDATE,
    "validation": validation(),
    "evaluation": evaluation(),
    "measurement": tested(energy_test(None)),
    "checks": (Check(name="data/raw", expected="a", found="a"),),
}
EVALUATED = {"quality", "champion", "slices", "robustness", "energy"}
MEASURED = {"latency", "energy"}


def verdicts(module, **evidence):
    return module.judge(Evidence(**evidence), LIMITS, session=SESSION)


def failing(module, **changes):
    """Names of the gates that do not pass, when evidence is good but for `changes`."""
    return {
        verdict.name
        for verdict in module.judge(Evidence(**{**GOOD, **changes}), LIMITS, session=SESSION)
        if verdict.outcome != "PASS"
    }


def foreign_reason(module):
    given = verdicts(module, **{**GOOD, "measurement": measurement(digest="f" * 64)})
    return all("is about candidate ffffffffffff" in found.reason for found in given if found.name in MEASURED)


def forgotten_champion(module):
    """A champion was promoted, evaluated, and left out when energy was measured."""
    difference = {"vus_pr": score(0.0)}
    promoted = evaluation(champion=PROMOTED, versus_champion=difference)
    return failing(module, evaluation=promoted) == {"energy"}


def held_against_champion(module):
    """The same, and it was tested against: the tolerance of answers is that of the champion gate."""
    promoted = evaluation(champion=PROMOTED, versus_champion={"vus_pr": score(0.0)})
    return failing(module, evaluation=promoted, measurement=tested(energy_test(0.75))) == set()


def beside(module):
    """Earlier versions reach the gate."""
    return "not on the Pareto front of 2 models" in verdicts(module, **GOOD, earlier=earlier())[-1].reason


CASES = (
    Holds("good evidence passes every gate", lambda module: failing(module) == set()),
    Holds(
        "every gate is asked, in order",
        lambda module: tuple(verdict.name for verdict in verdicts(module, **GOOD)) == module.NAMES,
    ),
    Holds(
        "no evidence passes no gate",
        lambda module: all(verdict.outcome == "FAIL" for verdict in verdicts(module)),
    ),
    Holds("a champion that energy was not tested against fails it", forgotten_champion),
    Holds("a champion that was tested against does not", held_against_champion),
    Holds("earlier versions are told", beside),
    Holds("no checks fail integrity", lambda module: failing(module, checks=None) == {"integrity"}),
    Holds("no validation fails data", lambda module: failing(module, validation=None) == {"data"}),
    Holds("no evaluation fails what rests on it", lambda module: failing(module, evaluation=None) == EVALUATED),
    Holds("no measurement fails what rests on it", lambda module: failing(module, measurement=None) == MEASURED),
    Holds(
        "a validation of other rows fails data",
        lambda module: failing(module, validation=validation(data="f" * 64)) == {"data"},
    ),
    Holds(
        "an evaluation of another candidate fails what rests on it",
        lambda module: failing(module, evaluation=evaluation(candidate="f" * 64)) == EVALUATED,
    ),
    Holds(
        "an evaluation on other rows fails what rests on it",
        lambda module: failing(module, evaluation=evaluation(data="f" * 64)) == EVALUATED,
    ),
    Holds("a measurement of another candidate fails what rests on it, and says so", foreign_reason),
    Holds(
        "an unknown candidate fails what is about it",
        lambda module: failing(module, candidate=None) == EVALUATED | MEASURED,
    ),
    Holds(
        "an unknown dataset fails what is about it",
        lambda module: failing(module, dataset=None) == EVALUATED | {"data"},
    ),
)
