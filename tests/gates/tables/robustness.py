from wattline.params import RobustnessLimits

from ..cases import Asked
from ..samples import INF, LIMITS, NAN, evaluation, power, score

L = LIMITS.robustness


def case(promise, evidence, outcome, *figures, limits=L, says=()):
    return Asked(promise, "robustness", (evidence, limits), outcome, *figures, says=says)


def under(clean=0.5, **perturbed):
    return evaluation(
        contenders={"candidate": {"vus_pr": score(clean)}},
        robustness={name: found if not isinstance(found, float) else score(found) for name, found in perturbed.items()},
    )


def watts(**perturbed):
    return power(robustness={name: score(found) for name, found in perturbed.items()})


CASES = (
    case(
        "small losses pass, the worst is named",
        under(noise=0.484375, missing=0.4375),
        "PASS",
        0.125,
        0.25,
        says=("loss of vus_pr 12.50% <= 25.00%: 0.5 becomes 0.4375 under missing, the worst of 2",),
    ),
    case("no evaluation fails", None, "FAIL", says=("reports/evaluate.json is missing",)),
    case("an evaluation of no rows fails", evaluation(rows=0), "FAIL", says=("which rows",)),
    case("no perturbation fails", under(), "FAIL", says=("no perturbation",)),
    case("a candidate that was not scored fails", evaluation(contenders={}), "FAIL", says=("no vus_pr of candidate",)),
    case("a loss of exactly the limit passes", under(noise=0.375), "PASS", 0.25, 0.25),
    case(
        "one loss over the limit fails, whatever the others are",
        under(noise=0.5, missing=0.34375, drop=0.5),
        "FAIL",
        0.3125,
        0.25,
        says=("31.25% > 25.00%", "under missing"),
    ),
    case("a perturbation that helps passes", under(noise=0.625), "PASS", -0.25, 0.25),
    case(
        "nothing may be lost where the limit is 0",
        under(noise=0.375),
        "FAIL",
        0.25,
        0.0,
        limits=RobustnessLimits(maximum_loss=0),
    ),
    case(
        "an undefined score under a perturbation fails", under(noise=0.5, missing=NAN), "FAIL", says=("missing", "nan")
    ),
    case("an infinite score under a perturbation fails", under(noise=INF), "FAIL", says=("inf",)),
    case("an undefined clean score fails", under(NAN, noise=0.5), "FAIL", says=("nan",)),
    case("a clean score of 0 has no share to lose", under(0.0, noise=0.0), "FAIL", says=("is 0",)),
    case(
        "a perturbation that loses a whole unit fails",
        under(noise=score(0.5, units=3)),
        "FAIL",
        says=("noise was scored on 3 units and the candidate on 4",),
    ),
    case("a negative clean score loses downwards", under(-0.5, noise=-0.75), "FAIL", 0.5, 0.25),
    case("where less is better a rise of exactly the limit passes", watts(noise=10.0, missing=9.0), "PASS", 0.25, 0.25),
    case(
        "where less is better a rise over the limit fails",
        watts(noise=8.0, missing=12.0),
        "FAIL",
        0.5,
        0.25,
        says=("8 becomes 12 under missing",),
    ),
    case("where less is better a fall passes", watts(noise=6.0), "PASS", -0.25, 0.25),
)
