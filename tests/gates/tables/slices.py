from wattline.params import SlicesLimits

from ..cases import Asked
from ..samples import INF, LIMITS, NAN, evaluation, group, power

L = LIMITS.slices
WATTS = SlicesLimits(limit=12.0, minimum_rows=10)


def case(promise, evidence, outcome, *figures, limits=L, says=()):
    return Asked(promise, "slices", (evidence, limits), outcome, *figures, says=says)


def parts(*slices):
    return evaluation(slices=slices)


GOOD = group("rack0", 0.5)

CASES = (
    case(
        "groups over the limit pass, the worst is named",
        evaluation(),
        "PASS",
        0.375,
        0.25,
        says=("vus_pr 0.375 >= 0.25: worst group rack1 of 2",),
    ),
    case("no evaluation fails", None, "FAIL", says=("reports/evaluate.json is missing",)),
    case("an evaluation of no rows fails", evaluation(rows=0), "FAIL", says=("which rows",)),
    case("one row is an evaluation", evaluation(rows=1), "PASS", 0.375, 0.25),
    case("no slice fails", parts(), "FAIL", says=("no group has 10 rows and a defined vus_pr",)),
    case("a worst group at the very limit passes", parts(group("rack1", 0.25), GOOD), "PASS", 0.25, 0.25),
    case(
        "one group under the limit fails, whatever the others are",
        parts(GOOD, group("rack7", 0.234375), group("rack1", 0.9375)),
        "FAIL",
        0.234375,
        0.25,
        says=("vus_pr 0.2344 < 0.25: worst group rack7 of 3",),
    ),
    case("a bad unit is not a bad group", parts(GOOD, group("n0", 0.0, kind="unit")), "PASS", 0.5, 0.25),
    case("units alone are no groups", parts(group("n0", 0.5, kind="unit")), "FAIL", says=("no group",)),
    case("a group of too few rows is not judged", parts(GOOD, group("rack1", 0.0, rows=9)), "PASS", 0.5, 0.25),
    case("a group of exactly enough rows is judged", parts(GOOD, group("rack1", 0.0, rows=10)), "FAIL", 0.0, 0.25),
    case("an undefined group is not judged", parts(GOOD, group("rack1", NAN)), "PASS", 0.5, 0.25, says=("of 1 that",)),
    case("undefined groups alone fail", parts(group("rack0", NAN), group("rack1", NAN)), "FAIL", says=("no group",)),
    case("groups scored in another metric fail", parts(group("rack0", 0.5, metric="f1")), "FAIL", says=("no group",)),
    case("an infinite score reaches nothing", parts(group("rack0", INF)), "FAIL", INF, 0.25),
    case(
        "where less is better the highest group is the worst, and passes at the very limit",
        power(),
        "PASS",
        12.0,
        12.0,
        limits=WATTS,
        says=("rack1",),
    ),
    case(
        "where less is better a group over the limit fails",
        power(slices=(group("rack0", 12.5, metric="mae"), group("rack1", 1.0, metric="mae"))),
        "FAIL",
        12.5,
        12.0,
        limits=WATTS,
        says=("mae 12.5 W > 12 W: worst group rack0",),
    ),
)
