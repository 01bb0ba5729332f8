from wattline.gates.evidence import Evidence
from wattline.records import Check

from ..cases import Holds
from ..samples import CANDIDATE, DATASET, LIMITS, evaluation, measurement, validation

GOOD = {
    "dataset": DATASET,
    "candidate": CANDIDATE,
    "validation": validation(),
    "evaluation": evaluation(),
    "measurement": measurement(),
    "checks": (Check(name="data/raw", expected="a", found="a"),),
}
EVALUATED = {"quality", "champion", "slices", "robustness"}
MEASURED = {"latency", "energy"}


def failing(module, **changes):
    """Names of the gates that do not pass, when evidence is good but for `changes`."""
    return {
        verdict.name for verdict in module.judge(Evidence(**{**GOOD, **changes}), LIMITS) if verdict.outcome != "PASS"
    }


def foreign_reason(module):
    verdicts = module.judge(Evidence(**{**GOOD, "measurement": measurement(digest="f" * 64)}), LIMITS)
    return all("is about candidate ffffffffffff" in found.reason for found in verdicts if found.name in MEASURED)


CASES = (
    Holds("good evidence passes every gate", lambda module: failing(module) == set()),
    Holds(
        "every gate is asked, in order",
        lambda module: tuple(verdict.name for verdict in module.judge(Evidence(**GOOD), LIMITS)) == module.NAMES,
    ),
    Holds(
        "no evidence passes no gate",
        lambda module: all(verdict.outcome == "FAIL" for verdict in module.judge(Evidence(), LIMITS)),
    ),
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
