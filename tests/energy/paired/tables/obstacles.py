import math

from wattline.records import Condition, Requests, SelfTest

from ..observed import (
    ALONE,
    ANY,
    BOTH,
    LIMITS,
    SELF_TEST,
    SESSION,
    contender,
    idle,
    joules,
    reading,
    sensor,
    session,
)
from ..promises import gives, says, silent

ESTIMATE = sensor(provenance="estimated", sensor="CPU time x 12.5 W/core", scope="processes")


def obstacle(limits=LIMITS, **changes):
    return obstacle_of(session(**changes), limits)


def obstacle_of(test, limits=LIMITS):
    return lambda module: module.obstacle(test, limits, session=SESSION)


def doubled(blocks):
    """The first blocks are there twice."""
    test = session()
    return obstacle_of(test.model_copy(update={"blocks": test.blocks + test.blocks[:blocks]}))


def failed(*conditions):
    return SELF_TEST.model_copy(update={"conditions": conditions})


def renamed(number, name):
    """One sample is somebody else's."""
    return reading(number, contender=name)


def drifted(after, *, net=32.0, ratio=1.0, **changes):
    """Idle power went from 32 W - after / 2 to 32 W + after / 2, and the contenders draw 64 W."""
    return obstacle(
        spread=1e-9,
        alter=lambda number, _: joules(16.0 + net + (number % 2) * 2.0 - 1.0) | {"cpu_seconds": 0.5 + number / 1e3},
        idle_before=idle(32.0 - after / 2),
        idle_after=idle(32.0 + after / 2),
        **changes,
    )


def loaded(cores, *, only=None, **changes):
    return obstacle(
        alter=lambda _, found: {"other_cores": cores} if only in (None, found.contender) else {},
        **changes,
    )


def half_loaded(cores):
    """Every second sample is busy, and lasts three times as long."""

    def alter(number, found):
        if number % 2:
            return {"other_cores": cores, "seconds": 1.5, **joules(found.joules + 32.0)}
        return {}

    return obstacle(alter=alter)


CASES = (
    silent("a sound session has no obstacle", obstacle()),
    silent("nor has a candidate alone", obstacle(pairs=0, contenders=ALONE)),
    silent("nor have contenders in another order", obstacle(contenders=BOTH[::-1])),
    silent(
        "nor have contenders that are the same model",
        obstacle(contenders=tuple(c.model_copy(update={"digest": "x"}) for c in BOTH)),
    ),
    says(
        "a session that broke off is none",
        obstacle(problem="the candidate crashed"),
        "broke off: the candidate crashed",
    ),
    says("a problem without words is one, too", obstacle(problem=""), "broke off"),
    says(
        "an estimate is refused where a measurement is demanded",
        obstacle(sensor=ESTIMATE),
        "CPU time x 12.5 W/core is only an estimate",
        "demands a measurement",
    ),
    silent("an estimate will do where one is accepted", obstacle(ANY, sensor=ESTIMATE)),
    silent("a measurement will do there, too", obstacle(ANY)),
    says(
        "a self-test of another meter is none",
        obstacle(self_test=SelfTest(meter="nvml", conditions=SELF_TEST.conditions, seconds=1)),
        "of 'nvml'",
        "of 'rapl'",
    ),
    says(
        "a failed self-test is named",
        obstacle(self_test=failed(SELF_TEST.conditions[0], Condition(name="forwards", holds=False, found="-3 J"))),
        "failed its self-test (forwards: -3 J)",
        "wattline energy doctor",
    ),
    says("a self-test of nothing is none", obstacle(self_test=failed()), "it has no condition"),
    says("nobody is no candidate", obstacle(contenders=()), "the contenders are missing"),
    says("a baseline alone is no candidate", obstacle(contenders=BOTH[1:]), "the contenders are baseline, not"),
    says("two candidates are no pair", obstacle(contenders=ALONE * 2), "candidate and candidate"),
    silent("one request is a request", obstacle(requests=Requests(sha256="", windows=1, batch=1, passes=1))),
    says(
        "no request is none",
        obstacle(requests=Requests.model_construct(sha256="", windows=0, batch=1, passes=1)),
        "answers 0 windows",
    ),
    *(
        says(
            f"a score of {bad} is undefined",
            obstacle(contenders=(contender("candidate"), contender("baseline", bad))),
            "score of the baseline's answers is undefined",
            "measure.windows",
        )
        for bad in (math.nan, math.inf)
    ),
    says(
        "answers without a digest are none",
        obstacle(contenders=(contender("candidate", answers_sha256=""), BOTH[1])),
        "no digest of the candidate's answers",
    ),
    says(
        "a sample of the wrong contender is noticed in a pair",
        obstacle(alter=lambda number, _: {"contender": "candidate"} if number < 4 else {}),
        "block 1, a pair",
        "run it again",
    ),
    *(says(f"{count} blocks that are there twice are noticed", doubled(count), "there twice") for count in (1, 12)),
    says(
        "a candidate's sample is none for a control",
        obstacle(alter=renamed(4, "candidate")),
        "block 2, a control in order",
        "['baseline', 'baseline', 'baseline', 'baseline']",
    ),
    says(
        "a baseline's sample is none for a candidate alone",
        obstacle(pairs=0, contenders=ALONE, alter=renamed(4, "baseline")),
        "block 2, a control in order",
    ),
    silent("as many controls as were asked for are enough", obstacle(controls=6)),
    silent("more are, too", obstacle(controls=7)),
    says("fewer are not", obstacle(controls=5), "5 control blocks", "minimum_blocks = 6"),
    says("no block at all is not", obstacle(pairs=0, controls=0), "0 control blocks"),
    *(
        says(
            f"idle power must be known {when}",
            obstacle(**{f"idle_{when}": None}),
            f"idle power {when} the samples is missing",
        )
        for when in ("before", "after")
    ),
    *(
        says(
            f"a machine that reads {watts} W while idle is not read",
            obstacle(idle_before=idle(watts)),
            f"before the samples reads {watts} W",
        )
        for watts in (0, -1, math.nan, math.inf)
    ),
    silent("a machine may need less than a watt", obstacle(idle_before=idle(0.5), idle_after=idle(0.5))),
    silent(
        "nothing but us may need nothing while we wait",
        obstacle(ANY, sensor=ESTIMATE, idle_before=idle(0.0), idle_after=idle(0.0)),
    ),
    *(
        says(
            f"nothing but us does not need {watts} W",
            obstacle(ANY, sensor=ESTIMATE, idle_before=idle(watts)),
            f"reads {watts} W",
        )
        for watts in (-0.5, math.nan, math.inf)
    ),
    says("readings that cannot be are refused", obstacle(alter=reading(3, **joules(0.0))), "did not count"),
    silent("idle power may drift by the limit", drifted(8.0)),
    silent("it may fall by the limit, too", drifted(-8.0)),
    says(
        "more is refused", drifted(8.25), "from 27.88 W to 36.12 W, 12.9% of the 64 W", "idle_drift: 12.5%", "at rest"
    ),
    says("falling more is, too", drifted(-8.25), "from 36.12 W to 27.88 W"),
    silent("other load may be at the limit", loaded(0.25)),
    says(
        "more is refused",
        loaded(0.26),
        "0.26 cores were busy with something else in the candidate's samples",
        "other_cores: 0.25",
        "sees the whole machine",
    ),
    says("load in the candidate's turns is refused", loaded(0.26, only="candidate"), "in the candidate's samples"),
    says("load in the baseline's turns is refused", loaded(0.26, only="baseline"), "in the baseline's samples"),
    says("load that was not read is refused", loaded(math.nan), "nan cores"),
    silent("load counts by time, up to the limit", half_loaded(1 / 3)),
    says("load counts by time", half_loaded(0.35), "0.26"),
    says("load before is refused", obstacle(idle_before=idle(other_cores=0.5)), "0.5 cores", "before the samples"),
    says("load after is refused", obstacle(idle_after=idle(other_cores=0.5)), "0.5 cores", "after the samples"),
    silent("load does not matter to a meter that does not see it", loaded(4.0, sensor=sensor(scope="devices"))),
    gives(
        "without idle power there is no drift to speak of",
        lambda module: module._idle_drifted(session(idle_before=None), SESSION),
        None,
    ),
    gives("nor afterwards", lambda module: module._idle_drifted(session(idle_after=None), SESSION), None),
    gives(
        "without samples there is no load in them",
        lambda module: list(module._other_cores(session(pairs=0, controls=0, idle_before=None, idle_after=None))),
        [],
    ),
)
