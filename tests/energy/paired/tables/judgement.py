import math

from wattline.energy.paired.sequence import Bounds

from ..observed import ALONE, BOTH, DOWN, LIMITS, SESSION, UP, contender, joules, reading, session
from ..promises import gives, refuses, says

FIGURES = {
    "outcome": "PASS",
    "reason": "",
    "ratio": 1.0,
    "interval": (1.0, 1.0),
    "control_ratio": 1.0,
    "control_interval": (1.0, 1.0),
    "blocks": 6,
    "blocks_needed": 2,
}
LIMIT = math.log1p(LIMITS.margin)
PLANNED = (6, 12, 24, 32)


def judged(**changes):
    test = session(**changes)
    return lambda module: module.judge(test, LIMITS, tolerance=0.125, maximum_blocks=32, session=SESSION)


def outcome(call):
    return lambda module: (call(module).outcome, call(module).more)


def reason(call):
    return lambda module: call(module).reason


def decided(low, high, *, pairs=6):
    test = session(pairs=pairs)
    return lambda module: module._decide(test, Bounds((low + high) / 2, low, high, 1.0), LIMITS, planned=PLANNED)


def scores(candidate, baseline, headline=UP):
    return {"contenders": (contender("candidate", candidate), contender("baseline", baseline)), "headline": headline}


def plain(call, *words):
    """Figures of a judgement, rounded."""
    return lambda module: tuple(round(getattr(call(module), word), 3) for word in words)


CASES = (
    gives("equal contenders pass", outcome(judged()), ("PASS", False)),
    says(
        "a pass says why",
        reason(judged()),
        "< 1.1000: upper bound of the ratio",
        "from 6 pairs, measured by rapl:package-0",
    ),
    gives("a cheaper candidate passes", outcome(judged(ratio=0.5)), ("PASS", False)),
    gives("twice the margin fails", outcome(judged(ratio=1.2)), ("FAIL", False)),
    says("a failure says why", reason(judged(ratio=1.25)), "> 1.1000: even the lower bound of the ratio 1.2"),
    gives("the very margin is not decided, and may be", outcome(judged(ratio=1.1)), ("REFUSE", True)),
    says("the next look is named", reason(judged(ratio=1.1)), "the margin 1.1000 lies within", "at 12 pairs"),
    gives("in the end it is not decided", outcome(judged(ratio=1.1, pairs=32)), ("REFUSE", False)),
    says("in the end there is a remedy", reason(judged(ratio=1.1, pairs=32)), "allow more", "sample_seconds"),
    gives("an upper bound under the margin passes", outcome(decided(-1.0, LIMIT - 1e-9)), ("PASS", False)),
    gives("an upper bound at the margin does not", outcome(decided(-1.0, LIMIT)), ("REFUSE", True)),
    gives("a lower bound at the margin does not fail", outcome(decided(LIMIT, 1.0)), ("REFUSE", True)),
    gives("a lower bound over it does", outcome(decided(LIMIT + 1e-9, 1.0)), ("FAIL", False)),
    gives("undefined bounds decide nothing", lambda m: decided(math.nan, math.nan)(m).outcome, "REFUSE"),
    gives("the last look but one may go on", outcome(decided(-1, 1, pairs=24)), ("REFUSE", True)),
    gives("the last look may not", outcome(decided(-1, 1, pairs=32)), ("REFUSE", False)),
    says("after the second look comes the third", lambda m: decided(-1, 1, pairs=12)(m).reason, "at 24 pairs"),
    *(
        says(
            f"{pairs} pairs were not planned",
            reason(judged(pairs=pairs)),
            f"{pairs} pairs are not one of",
            "6, 12, 24, 32",
        )
        for pairs in (0, 5, 7, 33)
    ),
    gives("an unplanned look shows no ratio", lambda m: math.isnan(judged(pairs=7)(m).ratio), True),
    gives("an unplanned look is refused", outcome(judged(pairs=7)), ("REFUSE", False)),
    gives("a candidate alone passes", outcome(judged(pairs=0, contenders=ALONE)), ("PASS", False)),
    gives(
        "noise and a biased control do not keep a candidate alone from its budget",
        outcome(judged(pairs=0, contenders=ALONE, bias=0.1)),
        ("PASS", False),
    ),
    says("it says that there is no baseline", reason(judged(pairs=0, contenders=ALONE)), "no baseline to compare with"),
    gives("it has no ratio", lambda m: math.isnan(judged(pairs=0, contenders=ALONE)(m).ratio), True),
    says("a baseline without pairs is no candidate alone", reason(judged(pairs=0)), "0 pairs are not one of"),
    gives("an obstacle refuses", outcome(judged(problem="it crashed")), ("REFUSE", False)),
    gives("an obstacle refuses what would fail", outcome(judged(ratio=2.0, problem="it crashed")), ("REFUSE", False)),
    gives("a control that finds something refuses", outcome(judged(bias=0.1)), ("REFUSE", False)),
    says("it says so", reason(judged(bias=0.1)), "where 1 is true"),
    gives("a control that is too wide refuses", outcome(judged(spread=0.3)), ("REFUSE", False)),
    says("it says how many pairs are needed", reason(judged(spread=0.3)), "pairs are needed"),
    gives("answers may be worse by the tolerance", outcome(judged(**scores(0.5, 0.625))), ("PASS", False)),
    gives("worse ones fail, though they cost no more", outcome(judged(**scores(0.5, 0.626))), ("FAIL", False)),
    gives(
        "they fail where energy is not decided yet", outcome(judged(ratio=1.1, **scores(0.5, 0.75))), ("FAIL", False)
    ),
    gives("they fail whatever the control finds", outcome(judged(bias=0.1, **scores(0.5, 0.75))), ("FAIL", False)),
    gives(
        "they do not fail a session that broke off",
        lambda m: judged(problem="x", **scores(0.5, 0.75))(m).outcome,
        "REFUSE",
    ),
    says(
        "worse answers are named",
        reason(judged(**scores(0.5, 0.75))),
        "no win by worse answers: vus_pr of the candidate is 0.5, of the baseline 0.75",
        "worse by 0.25 1 (tolerance 0.125)",
    ),
    gives("better answers do not fail", outcome(judged(**scores(0.75, 0.5))), ("PASS", False)),
    gives("where less is better, more is worse", outcome(judged(**scores(0.75, 0.5, DOWN))), ("FAIL", False)),
    gives("where less is better, less is better", outcome(judged(**scores(0.5, 0.75, DOWN))), ("PASS", False)),
    gives("the loss is shown", plain(judged(**scores(0.5, 0.625)), "loss"), (0.125,)),
    gives(
        "the loss of a candidate alone is unknown",
        lambda m: math.isnan(judged(pairs=0, contenders=ALONE)(m).loss),
        True,
    ),
    gives("the loss of a baseline alone is, too", lambda m: math.isnan(judged(contenders=BOTH[1:])(m).loss), True),
    gives(
        "figures are those of the blocks",
        plain(judged(ratio=1.25, spread=0.001), "ratio", "control_ratio", "blocks"),
        (1.249, 1.0, 6),
    ),
    gives("pairs needed are shown", lambda m: 2 <= judged()(m).blocks_needed <= 4, True),
    gives("pairs needed are unknown without controls", lambda m: judged(controls=0)(m).blocks_needed, 0),
    gives(
        "the first look takes its share of alpha: 4.98 standard errors",
        lambda m: round(
            math.log((found := judged()(m)).interval[1] / found.ratio) / math.log(found.ratio / found.interval[0]), 6
        ),
        1.0,
    ),
    gives(
        "a later look is closer",
        lambda m: judged(pairs=32, spread=0.05)(m).interval[1] < judged(pairs=6, spread=0.05)(m).interval[1],
        True,
    ),
    gives("what is not said to go on ends", lambda m: m.Judgement(**FIGURES).more, False),
    gives(
        "garbage has no ratio",
        lambda m: math.isnan(judged(alter=reading(0, **joules(math.inf)), seed=5)(m).ratio),
        True,
    ),
    refuses(
        "a maximum under the minimum is an error",
        lambda m: m.judge(session(), LIMITS, tolerance=0, maximum_blocks=5, session=SESSION),
        "maximum_blocks",
    ),
)
