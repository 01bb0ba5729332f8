from wattline.energy.paired.figures import per_1000
from wattline.energy.paired.judgement import judge
from wattline.records import Champion, Earlier, EarlierVersion, Idle

from ..cases import Asked
from ..samples import (
    CANDIDATE,
    DOWN,
    LIMITS,
    NAN,
    PROMOTED,
    SENSOR,
    SESSION,
    contender,
    energy_test,
    evaluation,
    joules,
    measurement,
    performance,
    power,
    tested,
    trained,
)

MEASURED = LIMITS.energy
ANY = MEASURED.model_copy(update={"evidence": "estimated"})
PREDICTIONS, TRAINING, RATIO = "J per 1,000 predictions", "kWh per training", "J per J of the champion"
ESTIMATE = {"provenance": "estimated", "sensor": "CPU time x 12.5 W/core"}
FIRST = "champion PASS: there is none yet"
BESIDE = evaluation(champion=PROMOTED)
OTHER = "f" * 64


def asked(
    promise, evidence, outcome, *figures, limits=MEASURED, says=(), silent=(), provenance="computed", unit="1", **given
):
    keywords = {"evaluation": BESIDE, "champion": LIMITS.champion, "session": SESSION, **given}
    arguments = (evidence, limits)
    return Asked(
        promise, "energy", arguments, outcome, *figures, says=says, silent=silent, provenance=provenance, unit=unit,
        keywords=keywords,
    )  # fmt: skip


def first(promise, evidence, outcome, *figures, says=(), unit=PREDICTIONS, provenance="measured", **given):
    """A candidate in a world without a champion."""
    given = {"evaluation": evaluation(), **given}
    return asked(promise, evidence, outcome, *figures, says=says, unit=unit, provenance=provenance, **given)


def compared(promise, test, outcome, *, says=(), limits=MEASURED, provenance="measured", **changes):
    """A candidate that was tested against the champion, where the ratio decides."""
    found = judged(test, limits)
    value = {"PASS": found.interval[1], "FAIL": found.interval[0], "REFUSE": found.ratio}[outcome]
    figures = (value, 1 + limits.margin)
    says = (f"champion {outcome}: {found.reason};", *says)
    return asked(
        promise, tested(test, **changes), outcome, *figures, says=says, unit=RATIO, limits=limits, provenance=provenance
    )


def judged(test, limits=MEASURED):
    return judge(test, limits, tolerance=LIMITS.champion.tolerance, maximum_blocks=12, session=SESSION)


def stored(test, energy):
    """A measurement whose figure is not the one that its samples give."""
    return tested(test, candidate=performance(CANDIDATE.digest, energy))


def unlike(promise, **changes):
    figure = per_1000(GOOD, "candidate")
    spoilt = stored(GOOD, figure.model_copy(update=changes))
    says = ("budget FAIL: reports/measure.json says", "its samples say", "--force measure")
    return asked(promise, spoilt, "FAIL", says=says)


def scores(candidate, baseline):
    names = contender(score=candidate), contender("baseline", digest=PROMOTED.digest, score=baseline)
    return {"contenders": names}


def subjects(*pairs):
    """A test of others than the two that it should be about; figures are those of a test in order."""
    others = tuple(contender(name, digest=digest) for name, digest in pairs)
    return tested(GOOD, test=GOOD.model_copy(update={"contenders": others}))


def bound(test, place):
    """What decides about a budget: the upper bound where it passes, the lower one where it fails."""
    return per_1000(test, "candidate").interval[place], 4.0


def earlier(**changes):
    good = {
        "version": "2",
        "digest": "55" * 32,
        "metric": "vus_pr",
        "score": 0.9375,
        "rows_sha256": "34" * 32,
        "energy_per_1000": joules(1.0, 0.5, 1.5, boundary="CPU packages; idle power is taken off"),
        "batch": 256,
        "machine": "sample",
    }
    return Earlier(model="anomaly", versions=(EarlierVersion.model_validate({**good, **changes}),))


GOOD, DEAR, EQUAL = energy_test(0.75), energy_test(1.5), energy_test(1.1)
ALONE, COSTLY, AT_BUDGET = energy_test(None), energy_test(None, cost=6.0), energy_test(None, cost=4.0)
BROKEN = {"problem": "the meter vanished"}
ESTIMATED = SENSOR.model_copy(update=ESTIMATE)
UNDECIDED_TRAINING = {"training_energy": trained(1.0, 0.5, 1.5)}
COSTLY_TRAINING = {"training_energy": trained(2.0, 1.5, 2.5)}
IN_BUDGET, AT_TRAINING = "budget PASS: ", "training PASS: 0.75 kWh <= 1 kWh per training"

CASES = (
    # against the champion
    compared(
        "a candidate that takes less passes, and all three parts are told", GOOD, "PASS", says=(IN_BUDGET, AT_TRAINING)
    ),
    compared("one that takes half as much again fails", DEAR, "FAIL", says=(IN_BUDGET, AT_TRAINING)),
    compared("one at the very margin is refused", EQUAL, "REFUSE", says=("the margin 1.1000 lies within",)),
    compared(
        "a session that broke off is refused", energy_test(0.75, **BROKEN), "REFUSE", says=("the meter vanished",)
    ),
    compared(
        "an estimate is refused where a measurement is demanded",
        energy_test(0.75, sensor=ESTIMATED),
        "REFUSE",
        says=("budget REFUSE: ",),
        provenance="estimated",
    ),
    compared(
        "an estimate passes where one is accepted, and stays an estimate",
        energy_test(0.75, sensor=ESTIMATED),
        "PASS",
        limits=ANY,
        provenance="estimated",
    ),
    compared("answers that are worse by the very tolerance pass", energy_test(0.75, **scores(0.75, 0.875)), "PASS"),
    compared("answers worse by the tolerance do not hide what failed", energy_test(1.5, **scores(0.75, 0.875)), "FAIL"),
    compared(
        "worse answers of a session that broke off are not what is told",
        energy_test(0.75, **BROKEN, **scores(0.5, 0.875)),
        "REFUSE",
    ),
    asked(
        "there is no win by worse answers",
        tested(energy_test(0.75, **scores(0.5, 0.875))),
        "FAIL",
        0.375,
        0.125,
        says=("champion FAIL: no win by worse answers",),
    ),
    asked(
        "where less is better, more is worse, and has its unit",
        tested(energy_test(0.75, headline=DOWN, **scores(8.5, 8.0))),
        "FAIL",
        0.5,
        0.125,
        unit="W",
        evaluation=power(champion=PROMOTED),
        says=("no win by worse answers",),
    ),
    # which champion
    asked(
        "a measurement without the champion fails where there is one",
        tested(ALONE),
        "FAIL",
        says=("made beside no champion, reports/evaluate.json beside champion 121212121212", "wattline champion"),
    ),
    asked(
        "a measurement beside another champion fails",
        tested(GOOD, champion=performance(OTHER, joules(2.0, 1.0, 3.0))),
        "FAIL",
        says=("made beside champion ffffffffffff",),
    ),
    asked(
        "a measurement of an earlier release, without a test, fails where there is a champion",
        measurement().model_copy(update={"champion": performance(PROMOTED.digest, joules(2.0, 1.0, 3.0))}),
        "FAIL",
        says=("holds no energy test against version 3", "--force measure"),
    ),
    *(
        asked(f"a test of {what} fails", subjects(*pairs), "FAIL", says=("the energy test is about", "--force measure"))
        for what, pairs in {
            "another candidate": (("candidate", OTHER), ("baseline", PROMOTED.digest)),
            "another champion": (("candidate", CANDIDATE.digest), ("baseline", OTHER)),
            "swapped contenders": (("baseline", CANDIDATE.digest), ("candidate", PROMOTED.digest)),
            "the candidate alone": (("candidate", CANDIDATE.digest),),
            "the champion alone": (("baseline", PROMOTED.digest),),
            "nobody": (),
            "one too many": (
                ("candidate", CANDIDATE.digest),
                ("candidate", CANDIDATE.digest),
                ("baseline", PROMOTED.digest),
            ),
        }.items()
    ),
    asked(
        "the contenders of another test are named, and who they should be",
        subjects(("candidate", OTHER), ("baseline", PROMOTED.digest)),
        "FAIL",
        says=(
            "is about candidate ffffffffffff, baseline 121212121212, not",
            f"baseline 121212121212, candidate {CANDIDATE.digest[:12]}",
        ),
    ),
    asked("a test of nobody says so", subjects(), "FAIL", says=("the energy test is about nobody, not",)),
    asked(
        "an evaluation that does not identify the champion fails",
        tested(GOOD),
        "FAIL",
        evaluation=evaluation(champion=Champion(version="3")),
        says=("does not identify one",),
    ),
    asked("no evaluation fails: a champion may exist", tested(GOOD), "FAIL", evaluation=None, says=("evaluate.json",)),
    asked("an evaluation of no rows fails", tested(GOOD), "FAIL", evaluation=evaluation(rows=0), says=("which rows",)),
    asked("no measurement fails", None, "FAIL", says=("reports/measure.json is missing", "dvc repro measure")),
    # figures that are not those of the samples
    unlike("another energy than the samples give fails", joules=1.0, interval=per_1000(GOOD, "candidate").interval),
    unlike("another lower bound than the samples give fails", interval=(0.0, per_1000(GOOD, "candidate").interval[1])),
    unlike("another upper bound than the samples give fails", interval=(per_1000(GOOD, "candidate").interval[0], 9.0)),
    unlike("another sensor than that of the samples fails", sensor="rapl:package-1"),
    unlike("another boundary than that of the samples fails", boundary="the whole node"),
    unlike("another scope than that of the samples fails", scope="processes"),
    unlike("another duration than that of the samples fails", seconds=1.0),
    asked(
        "a champion's figure that is not that of the samples fails",
        tested(GOOD, champion=performance(PROMOTED.digest, joules(2.0, 1.0, 3.0))),
        "FAIL",
        says=("J measured by rapl:package-0 (CPU packages) of the champion, its samples say",),
    ),
    asked(
        "answers that were scored by another metric than the evaluation's fail",
        tested(energy_test(0.75, headline=DOWN)),
        "FAIL",
        says=("scored answers by mae [W], lower is better, the evaluation by vus_pr [1], higher is better",),
    ),
    asked(
        "idle power that no float can sum is refused",
        tested(GOOD, test=GOOD.model_copy(update={"idle_after": Idle(watts=1.7e308, seconds=1, other_cores=0)})),
        "REFUSE",
        NAN,
        1 + MEASURED.margin,
        unit=RATIO,
        provenance="measured",
        says=("budget REFUSE: a sample of the candidate cost",),
    ),
    asked(
        "an estimate that is labelled measured fails",
        stored(
            energy_test(0.75, sensor=ESTIMATED),
            per_1000(energy_test(0.75, sensor=ESTIMATED), "candidate").model_copy(update={"provenance": "measured"}),
        ),
        "FAIL",
        limits=ANY,
        says=(
            "J measured by CPU time x 12.5 W/core (CPU packages; idle power is taken off) of the candidate",
            "J estimated by CPU time",
        ),
    ),
    asked(
        "samples without idle power are refused twice",
        tested(GOOD, test=GOOD.model_copy(update={"idle_after": None})),
        "REFUSE",
        NAN,
        1 + MEASURED.margin,
        unit=RATIO,
        provenance="measured",
        says=("champion REFUSE: idle power after", "budget REFUSE: idle power was not read"),
    ),
    # without a champion
    first(
        "a first version has only its budgets to keep, and it says so",
        tested(ALONE),
        "PASS",
        *bound(ALONE, 1),
        says=(FIRST, "so that only the budgets count", IN_BUDGET, AT_TRAINING),
    ),
    asked(
        "a first version without samples fails, whatever its figure says",
        measurement(),
        "FAIL",
        evaluation=evaluation(),
        says=("champion FAIL: reports/measure.json holds no energy test; run", "no samples prove its figure"),
    ),
    first("a first version over its budget fails", tested(COSTLY), "FAIL", *bound(COSTLY, 0), says=(FIRST,)),
    first(
        "a first version at its budget is refused",
        tested(AT_BUDGET),
        "REFUSE",
        per_1000(AT_BUDGET, "candidate").joules,
        4.0,
    ),
    first(
        "a first version whose session broke off is refused",
        tested(energy_test(None, **BROKEN)),
        "REFUSE",
        NAN,
        1 + MEASURED.margin,
        unit=RATIO,
        says=("champion REFUSE: the session broke off",),
    ),
    first(
        "a measurement beside a champion fails where there is none",
        tested(GOOD),
        "FAIL",
        says=("made beside champion 121212121212, reports/evaluate.json beside no champion",),
        unit="1",
        provenance="computed",
    ),
    first(
        "a test against somebody fails where there is no champion",
        tested(GOOD, champion=None),
        "FAIL",
        says=("the energy test is about candidate",),
        unit="1",
        provenance="computed",
    ),
    # the order of the parts
    asked(
        "a training over its budget fails whatever else passes",
        tested(GOOD, **COSTLY_TRAINING),
        "FAIL",
        1.5,
        1.0,
        unit=TRAINING,
        provenance="measured",
        says=("champion PASS: ", IN_BUDGET, "training FAIL: 1.5 kWh > 1 kWh per training"),
    ),
    asked(
        "a failure counts before a refusal",
        tested(EQUAL, **COSTLY_TRAINING),
        "FAIL",
        1.5,
        1.0,
        unit=TRAINING,
        provenance="measured",
        says=("champion REFUSE: ", "training FAIL: "),
    ),
    asked(
        "a training that cannot be told from its budget is refused",
        tested(GOOD, **UNDECIDED_TRAINING),
        "REFUSE",
        1.0,
        1.0,
        unit=TRAINING,
        provenance="measured",
    ),
    compared("a ratio that fails counts before a budget that is refused", DEAR, "FAIL", **UNDECIDED_TRAINING),
    compared("of two refusals the first one is told as the figure", EQUAL, "REFUSE", **UNDECIDED_TRAINING),
    compared("of two failures the first one is told as the figure", DEAR, "FAIL", **COSTLY_TRAINING),
    asked(
        "a training that nobody measured fails",
        tested(GOOD, training_energy=None),
        "FAIL",
        NAN,
        1.0,
        unit=TRAINING,
        says=("training FAIL: reports/measure.json holds no energy of the training",),
    ),
    # energy at equal quality
    first(
        "an earlier version that is better for less is told, and decides nothing",
        tested(ALONE),
        "PASS",
        *bound(ALONE, 1),
        earlier=earlier(),
        says=(
            "; not on the Pareto front of 2 models: version 2 has vus_pr 0.9375 for 1 J, the candidate 0.875 for 2 J",
        ),
    ),
    first(
        "a candidate that nothing dominates is on the front",
        tested(ALONE),
        "PASS",
        *bound(ALONE, 1),
        earlier=earlier(score=0.5),
        says=("; on the Pareto front of 2 models",),
    ),
    first(
        "without a score of the candidate nothing is said of a front",
        tested(ALONE),
        "PASS",
        *bound(ALONE, 1),
        evaluation=evaluation(contenders={}),
        silent=("Pareto",),
    ),
)
