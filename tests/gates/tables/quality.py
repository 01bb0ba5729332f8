from wattline.params import QualityLimits

from ..cases import Asked
from ..samples import INF, LIMITS, NAN, evaluation, power, score

L = LIMITS.quality
WATTS = QualityLimits(metric="mae", limit=12.0, margin_over_baselines=0.25)


def case(promise, evidence, outcome, *figures, limits=L, says=()):
    return Asked(promise, "quality", (evidence, limits), outcome, *figures, says=says)


def contenders(candidate, **baselines):
    """An evaluation of these scores."""
    scores = {"candidate": candidate, **baselines}
    return evaluation(contenders={name: {"vus_pr": found} for name, found in scores.items()})


def watts(candidate, **baselines):
    scores = {"candidate": candidate, **baselines}
    return power(contenders={name: {"mae": found} for name, found in scores.items()})


CASES = (
    case(
        "a good candidate passes",
        evaluation(),
        "PASS",
        0.625,
        0.5,
        says=("vus_pr 0.625 >= 0.5", "0.875 [0.625, 0.9375] on 1,000 rows", "baseline ridge at 0.5", "margin of 50.0%"),
    ),
    case("no evaluation fails", None, "FAIL", says=("reports/evaluate.json is missing", "dvc repro evaluate")),
    case("an evaluation of no rows fails", evaluation(rows=0), "FAIL", says=("which rows were scored",)),
    case(
        "another metric than the limit's fails",
        evaluation(),
        "FAIL",
        limits=QualityLimits(metric="f1", limit=0.5, margin_over_baselines=0.5),
        says=("'f1'", "'vus_pr'"),
    ),
    case("a candidate that was not scored fails", evaluation(contenders={}), "FAIL", says=("no vus_pr of candidate",)),
    case("an undefined value fails", contenders(score(NAN, 0.625, 0.75), ridge=score(0.25)), "FAIL", says=("nan",)),
    case("an undefined bound fails", contenders(score(0.75, NAN, 0.75), ridge=score(0.25)), "FAIL", says=("nan",)),
    case("an infinite score fails", contenders(score(INF), ridge=score(0.25)), "FAIL", says=("inf",)),
    case("an inverted interval fails", contenders(score(0.75, 0.875, 0.5), ridge=score(0.25)), "FAIL", says=("0.875",)),
    case("a score over no unit fails", contenders(score(0.75, units=0), ridge=score(0.25)), "FAIL", says=("0 units",)),
    case(
        "a lower bound at the very limit passes",
        contenders(score(0.75, 0.5, 0.875), ridge=score(0.25)),
        "PASS",
        0.5,
        0.5,
    ),
    case(
        "a lower bound under the limit fails, however high the value",
        contenders(score(0.9375, 0.484375, 1.0), ridge=score(0.25)),
        "FAIL",
        0.484375,
        0.5,
        says=("vus_pr 0.4844 < 0.5",),
    ),
    case(
        "exactly the margin over the best baseline passes", contenders(score(0.75), ridge=score(0.5)), "PASS", 0.75, 0.5
    ),
    case(
        "less than the margin over the best baseline fails, however many are worse",
        contenders(score(0.734375), random=score(0.0625), ridge=score(0.5), zero=score(0.0)),
        "FAIL",
        0.734375,
        0.75,
        says=("vus_pr 0.7344 < 0.75", "baseline ridge"),
    ),
    case("no baseline fails", contenders(score(0.75)), "FAIL", says=("no baseline",)),
    case("a champion is no baseline", contenders(score(0.75), champion=score(0.25)), "FAIL", says=("no baseline",)),
    case(
        "a champion need not be beaten by the margin",
        contenders(score(0.75), champion=score(0.7421875), ridge=score(0.25)),
        "PASS",
        0.75,
        0.5,
        says=("baseline ridge",),
    ),
    case("an undefined baseline fails", contenders(score(0.75), ridge=score(NAN)), "FAIL", says=("vus_pr of ridge",)),
    case(
        "a candidate that failed on a unit which a baseline answered fails",
        contenders(score(0.75, units=3), ridge=score(0.25, units=4)),
        "FAIL",
        says=("ridge was scored on 4 units and the candidate on 3",),
    ),
    case(
        "a baseline that failed on a unit fails",
        contenders(score(0.75, units=4), ridge=score(0.25, units=3)),
        "FAIL",
        says=("ridge was scored on 3 units and the candidate on 4",),
    ),
    case(
        "a negative baseline raises the bar by its margin too",
        contenders(score(-0.375), ridge=score(-0.5)),
        "FAIL",
        -0.375,
        -0.25,
        limits=QualityLimits(metric="vus_pr", limit=-1.0, margin_over_baselines=0.5),
    ),
    case(
        "where less is better a good candidate passes",
        power(),
        "PASS",
        10.0,
        12.0,
        limits=WATTS,
        says=("mae 10 W <= 12 W", "mae 8 W <= 12 W: baseline ridge at 16"),
    ),
    case(
        "where less is better an upper bound at the very limit passes",
        watts(score(8.0, 7.0, 12.0), ridge=score(16.0)),
        "PASS",
        12.0,
        12.0,
        limits=WATTS,
    ),
    case(
        "where less is better an upper bound over the limit fails, however low the value",
        watts(score(1.0, 0.5, 12.5), ridge=score(16.0)),
        "FAIL",
        12.5,
        12.0,
        limits=WATTS,
        says=("mae 12.5 W > 12 W",),
    ),
    case(
        "where less is better exactly the margin passes",
        watts(score(9.0), persistence=score(32.0), ridge=score(12.0)),
        "PASS",
        9.0,
        12.0,
        limits=WATTS,
    ),
    case(
        "where less is better less than the margin fails",
        watts(score(9.5), persistence=score(32.0), ridge=score(12.0)),
        "FAIL",
        9.5,
        9.0,
        limits=WATTS,
        says=("baseline ridge",),
    ),
)
