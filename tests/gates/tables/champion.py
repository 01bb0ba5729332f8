from wattline.params import ChampionLimits
from wattline.records import Champion

from ..cases import Asked
from ..samples import LIMITS, NAN, PROMOTED, evaluation, power, score

L = LIMITS.champion
WATTS = ChampionLimits(tolerance=2.0)
GAIN = score(0.0625, -0.0625, 0.25)


def case(promise, evidence, outcome, *figures, limits=L, says=()):
    return Asked(promise, "champion", (evidence, limits), outcome, *figures, says=says)


def against(difference, champion=PROMOTED, **changes):
    versus = {} if difference is None else {"vus_pr": difference}
    return evaluation(champion=champion, versus_champion=versus, **changes)


def watts(difference):
    return power(champion=PROMOTED, versus_champion={"mae": difference})


CASES = (
    case("the first candidate ever passes", evaluation(), "PASS", 0, -0.125, says=("nothing was promoted yet",)),
    case("no evaluation fails", None, "FAIL", says=("reports/evaluate.json is missing",)),
    case("an evaluation that does not say which rows fails", evaluation(rows_sha256=""), "FAIL", says=("which rows",)),
    case(
        "a candidate within the tolerance passes",
        against(GAIN),
        "PASS",
        -0.0625,
        -0.125,
        says=("difference of vus_pr -0.0625 >= -0.125", "champion version 3", "0.0625 [-0.0625, 0.25]"),
    ),
    case("a loss of exactly the tolerance passes", against(score(0.0, -0.125, 0.125)), "PASS", -0.125, -0.125),
    case(
        "a possible loss beyond the tolerance fails, however good the mean",
        against(score(0.25, -0.140625, 0.5)),
        "FAIL",
        -0.140625,
        -0.125,
        says=("-0.1406 < -0.125",),
    ),
    case(
        "without tolerance an equal candidate passes",
        against(score(0.0)),
        "PASS",
        0.0,
        0.0,
        limits=ChampionLimits(tolerance=0),
    ),
    case("a champion that was not compared fails", against(None), "FAIL", says=("no vus_pr of candidate - champion",)),
    case(
        "a champion compared in another metric fails",
        evaluation(champion=PROMOTED, versus_champion={"f1": GAIN}),
        "FAIL",
        says=("no vus_pr",),
    ),
    case("an undefined difference fails", against(score(NAN)), "FAIL", says=("nan",)),
    case("a difference over fewer units fails", against(score(0.25, units=3)), "FAIL", says=("on 3 units", "on 4")),
    case(
        "a version without digest is no champion",
        against(GAIN, Champion(version="3")),
        "FAIL",
        says=("version 3, digest None", "wattline champion"),
    ),
    case(
        "a version without digest is not its absence either",
        against(None, Champion(version="3")),
        "FAIL",
        says=("digest None",),
    ),
    case(
        "a digest without version is no champion",
        against(GAIN, Champion(digest="12" * 32)),
        "FAIL",
        says=("version None", "121212"),
    ),
    case(
        "a digest without version is not its absence either",
        against(None, Champion(digest="12" * 32)),
        "FAIL",
        says=("version None",),
    ),
    case(
        "a comparison with a champion that nobody recorded fails",
        against(GAIN, Champion()),
        "FAIL",
        says=("does not identify one",),
    ),
    case(
        "a scored champion that nobody recorded fails",
        evaluation(contenders={"candidate": {"vus_pr": GAIN}, "champion": {"vus_pr": GAIN}}),
        "FAIL",
        says=("does not identify one",),
    ),
    case("where less is better nothing promoted passes", power(), "PASS", 0.0, 2.0, limits=WATTS),
    case(
        "where less is better a loss of exactly the tolerance passes",
        watts(score(-1.0, -3.0, 2.0)),
        "PASS",
        2.0,
        2.0,
        limits=WATTS,
    ),
    case(
        "where less is better a possible loss beyond the tolerance fails",
        watts(score(-5.0, -9.0, 2.5)),
        "FAIL",
        2.5,
        2.0,
        limits=WATTS,
        says=("mae 2.5 W > 2 W",),
    ),
)
