import dataclasses

from ..cases import Asked
from ..samples import INF, LIMITS, NAN, joules, trained

MEASURED = LIMITS.energy
ANY = MEASURED.model_copy(update={"evidence": "estimated"})
UNIT = "J per 1,000 predictions"
ESTIMATE = {"provenance": "estimated", "sensor": "CPU time x 12.5 W/core"}


def case(promise, energy, outcome, value, *, limits=MEASURED, says=(), provenance="measured"):
    arguments = (energy, limits)
    return Asked(promise, "predictions", arguments, outcome, value, 4.0, says, provenance, UNIT, name="energy")


def training(promise, energy, outcome, value, *, limits=MEASURED, says=(), provenance="measured"):
    found = case(promise, energy, outcome, value, limits=limits, says=says, provenance=provenance)
    return dataclasses.replace(found, gate="training", limit=1.0, unit="kWh per training")


CASES = (
    case(
        "an interval within the budget passes",
        joules(2.0, 1.0, 3.0),
        "PASS",
        3.0,
        says=("3 J <= 4 J per 1,000 predictions", "2 J [1, 3] measured by rapl:package-0"),
    ),
    case("an upper bound at the very budget passes", joules(3.0, 2.0, 4.0), "PASS", 4.0),
    case("a certain figure at the very budget passes", joules(4.0, 4.0, 4.0), "PASS", 4.0),
    case("a lower bound that idle noise pushed under zero does not matter", joules(1.0, -0.5, 3.0), "PASS", 3.0),
    case(
        "an interval above the budget fails",
        joules(6.0, 5.0, 7.0),
        "FAIL",
        5.0,
        says=("5 J > 4 J per 1,000 predictions: even the lower bound",),
    ),
    case("a lower bound at the very budget is refused", joules(5.0, 4.0, 6.0), "REFUSE", 5.0, says=("too wide",)),
    case("a budget within the interval is refused, though the figure is over", joules(5.0, 3.0, 6.0), "REFUSE", 5.0),
    case(
        "a budget within the interval is refused, though the figure is under",
        joules(3.0, 2.0, 4.25),
        "REFUSE",
        3.0,
        says=("the budget of 4 J", "[2, 4.25]", "too wide to tell", "measure.repeats"),
    ),
    case(
        "an estimate is refused where a measurement is demanded",
        joules(2.0, 1.0, 3.0, **ESTIMATE),
        "REFUSE",
        2.0,
        says=("only estimated (CPU time x 12.5 W/core)", "demands a measurement", "--force measure`"),
        provenance="estimated",
    ),
    case(
        "an estimate over the budget is refused too where a measurement is demanded",
        joules(6.0, 5.0, 7.0, **ESTIMATE),
        "REFUSE",
        6.0,
        provenance="estimated",
    ),
    case(
        "an estimate passes where one is accepted, and stays an estimate",
        joules(2.0, 1.0, 3.0, **ESTIMATE),
        "PASS",
        3.0,
        limits=ANY,
        says=("estimated by CPU time",),
        provenance="estimated",
    ),
    case(
        "an estimate over the budget fails where one is accepted",
        joules(6.0, 5.0, 7.0, **ESTIMATE),
        "FAIL",
        5.0,
        limits=ANY,
        provenance="estimated",
    ),
    case("a measurement passes where an estimate would do", joules(2.0, 1.0, 3.0), "PASS", 3.0, limits=ANY),
    case("0 J is refused", joules(0.0, 0.0, 0.0), "REFUSE", 0.0, says=("0 J", "did not count", "--force measure")),
    case("0 J within an interval is refused", joules(0.0, 0.0, 3.0), "REFUSE", 0.0, says=("did not count",)),
    case("energy in no time is refused", joules(2.0, 1.0, 3.0, seconds=0.0), "REFUSE", 2.0, says=("in 0 s",)),
    case("an inverted interval is refused", joules(2.0, 3.0, 1.0), "REFUSE", 2.0, says=("did not count",)),
    case("a figure under its own interval is refused", joules(0.5, 1.0, 3.0), "REFUSE", 0.5, says=("did not count",)),
    case("a figure over its own interval is refused", joules(3.5, 1.0, 3.0), "REFUSE", 3.5, says=("did not count",)),
    case("an infinite figure is refused", joules(INF, INF, INF), "REFUSE", INF, says=("did not count",)),
    case("an endless lower bound is refused", joules(2.0, -INF, 3.0), "REFUSE", 2.0, says=("did not count",)),
    case("an endless upper bound is refused", joules(2.0, 1.0, INF), "REFUSE", 2.0, says=("did not count",)),
    case("an upper bound without end does not fail a candidate", joules(6.0, 5.0, INF), "REFUSE", 6.0),
    case("an undefined lower bound is refused", joules(2.0, NAN, 3.0), "REFUSE", 2.0, says=("nan",)),
    case("an undefined upper bound is refused", joules(2.0, 1.0, NAN), "REFUSE", 2.0, says=("nan",)),
    training(
        "a training within its budget passes, in kWh",
        trained(0.5, 0.25, 0.75),
        "PASS",
        0.75,
        says=("0.75 kWh <= 1 kWh per training: upper bound of 0.5 kWh [0.25, 0.75] measured by rapl:package-0",),
    ),
    training("a training at the very budget passes", trained(0.5, 0.25, 1.0), "PASS", 1.0),
    training(
        "a training over its budget fails",
        trained(2.0, 1.5, 2.5),
        "FAIL",
        1.5,
        says=("1.5 kWh > 1 kWh per training: even the lower bound of 2 kWh",),
    ),
    training(
        "a budget within the interval of a training is refused",
        trained(1.0, 0.5, 1.5),
        "REFUSE",
        1.0,
        says=("the budget of 1 kWh per training lies within", "gates.energy.training_budget_kwh"),
    ),
    training(
        "an estimated training is refused where a measurement is demanded",
        trained(0.5, 0.25, 0.75, **ESTIMATE),
        "REFUSE",
        0.5,
        says=("0.5 kWh per training are only estimated", "--force train`"),
        provenance="estimated",
    ),
    training(
        "an estimated training passes where one is accepted",
        trained(0.5, 0.25, 0.75, **ESTIMATE),
        "PASS",
        0.75,
        limits=ANY,
        provenance="estimated",
    ),
    training(
        "a training that nothing counted is refused",
        trained(0.0, 0.0, 0.0),
        "REFUSE",
        0.0,
        says=("0 kWh [0, 0]", "the meter did not count", "--force train`"),
    ),
    training(
        "a training that nobody measured fails",
        None,
        "FAIL",
        NAN,
        says=("holds no energy of the training", "--force train measure"),
        provenance="computed",
    ),
)
