from wattline.gates.evidence import Insufficient

from ..cases import Holds
from ..samples import DOWN, INF, NAN, UP, evaluation, score


def refused(call):
    """Whether `call` finds its evidence insufficient."""

    def true_of(module):
        try:
            call(module)
        except Insufficient:
            return True
        return False

    return true_of


def accepted(found):
    return lambda module: module.sound({"vus_pr": found}, "vus_pr", of="it") is found


def unsound(found):
    return refused(lambda module: module.sound({"vus_pr": found}, "vus_pr", of="it"))


THREE = {"a": 0.5, "b": 0.25, "c": 0.75}

CASES = (
    Holds("a score with an interval is sound", accepted(score(0.5, 0.25, 0.75))),
    Holds("an interval may be a point", accepted(score(0.5))),
    Holds("one unit is enough", accepted(score(0.5, units=1))),
    Holds("no unit is not", unsound(score(0.5, units=0))),
    Holds("an absent metric is not sound", refused(lambda module: module.sound({}, "vus_pr", of="it"))),
    Holds("an inverted interval is not sound", unsound(score(0.5, 0.75, 0.25))),
    *(Holds(f"a value of {bad} is not sound", unsound(score(bad, 0.25, 0.75))) for bad in (NAN, INF, -INF)),
    *(Holds(f"a lower bound of {bad} is not sound", unsound(score(0.5, bad, 0.75))) for bad in (NAN, -INF)),
    *(Holds(f"an upper bound of {bad} is not sound", unsound(score(0.5, 0.25, bad))) for bad in (NAN, INF)),
    Holds("one row is an evaluation", lambda module: module.evaluated(evaluation(rows=1)).rows == 1),
    Holds("many rows are an evaluation", lambda module: module.evaluated(evaluation()).rows == 1000),
    Holds("no evaluation is none", refused(lambda module: module.evaluated(None))),
    Holds("no row is no evaluation", refused(lambda module: module.evaluated(evaluation(rows=0)))),
    Holds("unnamed rows are no evaluation", refused(lambda module: module.evaluated(evaluation(rows_sha256="")))),
    Holds("the headline is found", lambda module: module.headline(evaluation(), "ridge") == score(0.5)),
    Holds("an absent contender has none", refused(lambda module: module.headline(evaluation(), "nobody"))),
    Holds("equal units are the same", lambda module: module.same_units(score(1), score(2), of="it") is None),
    Holds("fewer units differ", refused(lambda module: module.same_units(score(1, units=3), score(1), of="it"))),
    Holds("more units differ", refused(lambda module: module.same_units(score(1, units=5), score(1), of="it"))),
    Holds("the low bound is worse where more is better", lambda module: module.pessimistic(score(2, 1, 3), UP) == 1),
    Holds("the high bound is worse where less is better", lambda module: module.pessimistic(score(2, 1, 3), DOWN) == 3),
    Holds("equal reaches", lambda module: module.reaches(1, 1, UP) and module.reaches(1, 1, DOWN)),
    Holds(
        "more reaches only where more is better", lambda module: module.reaches(2, 1, UP) > module.reaches(2, 1, DOWN)
    ),
    Holds(
        "less reaches only where less is better", lambda module: module.reaches(1, 2, UP) < module.reaches(1, 2, DOWN)
    ),
    *(
        Holds(
            f"{bad} reaches nothing",
            lambda module, bad=bad: not module.reaches(bad, 0, UP) | module.reaches(bad, 0, DOWN),
        )
        for bad in (NAN, INF, -INF)
    ),
    Holds("the best is found", lambda module: (module.best(THREE, UP), module.best(THREE, DOWN)) == ("c", "b")),
    Holds("the worst is found", lambda module: (module.worst(THREE, UP), module.worst(THREE, DOWN)) == ("b", "c")),
    Holds("better is up or down", lambda module: (module.improved(4, 1, UP), module.improved(4, 1, DOWN)) == (5, 3)),
    Holds("a ratio has no unit", lambda module: module.comparison(0.5, 0.25, UP) == "vus_pr 0.5 >= 0.25"),
    Holds("a missed limit reads so", lambda module: module.comparison(0.125, 0.25, UP) == "vus_pr 0.125 < 0.25"),
    Holds("a figure has its unit", lambda module: module.comparison(2, 2, DOWN) == "mae 2 W <= 2 W"),
    Holds("a missed ceiling reads so", lambda module: module.comparison(3, 2, DOWN) == "mae 3 W > 2 W"),
)
