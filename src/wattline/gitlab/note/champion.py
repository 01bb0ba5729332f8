"""The candidate beside the champion, on the same rows and the same machine."""

from collections.abc import Iterator

from wattline.gitlab.note.escape import code, plain
from wattline.gitlab.note.figures import NONE, direction, number, relative, scored, spent, turn
from wattline.gitlab.note.known import Known
from wattline.gitlab.note.tables import table
from wattline.records import Evaluation, Performance, Score

TITLE = "### Against the champion\n\n"


def champion(known: Known) -> str:
    """A table of differences, or a sentence that says why there is none."""
    evaluation = known.now.evaluation
    if evaluation is None:
        return f"{TITLE}Compared with nothing: {code('reports/evaluate.json')} is missing or cannot be read."
    if evaluation.champion.version is None:
        return f"{TITLE}Compared with nothing: no version was promoted yet. {_best_baseline(evaluation)}"
    version = code(evaluation.champion.version)
    rows = [*_scores(known, evaluation), *_costs(known)]
    head = ("Figure", "Candidate", f"Champion, version {version}", "Difference", "Direction")
    said = [
        table(head, rows, right=(1, 2, 3)),
        "In brackets: 95 % intervals. Differences of metrics are paired, on the same rows.",
        *_promoted_since(known, evaluation),
    ]
    return TITLE + "\n\n".join(said)


def names(evaluation: Evaluation) -> list[str]:
    """Metrics of the candidate, the headline first."""
    found = evaluation.contenders.get("candidate", {})
    return sorted(found, key=lambda name: name != evaluation.headline.name)


def _scores(known: Known, evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    nothing: dict[str, Score] = {}
    candidate = evaluation.contenders.get("candidate", nothing)
    champion = evaluation.contenders.get("champion", nothing)
    for name in names(evaluation):
        metric, difference = known.metric(name), evaluation.versus_champion.get(name)
        unit = metric.unit if metric else "1"
        yield (
            labelled(known, name),
            scored(candidate.get(name), unit),
            scored(champion.get(name), unit),
            _difference(difference),
            direction(difference, metric) if difference else "not compared",
        )


def labelled(known: Known, name: str) -> str:
    """A metric's name with its unit and which way is better."""
    metric = known.metric(name)
    if metric is None:
        return f"{code(name)}, unit not known"
    unit = f" [{plain(metric.unit)}]" if metric.unit not in ("", "1") else ""
    return f"{code(name)}{unit}, {'higher' if metric.higher_is_better else 'lower'} is better"


def _difference(score: Score | None) -> str:
    if score is None or not score.units:
        return NONE
    return f"{number(score.value, signed=True)} [{number(score.low, signed=True)}, {number(score.high, signed=True)}]"


def _costs(known: Known) -> Iterator[tuple[str, ...]]:
    measurement = known.now.measurement
    if measurement is None or measurement.champion is None:
        return
    yield from costs(measurement.candidate, measurement.champion)
    found = known.now.decision.energy if known.now.decision else None
    if found is not None and found.test is not None and found.champion is not None:
        test = found.test
        low, high = test.interval
        answer = "no clear difference" if low <= 1 <= high else turn(test.ratio, 1, higher_is_better=False)
        ratio = f"{number(test.ratio)} [{number(low)}, {number(high)}]"
        yield "paired energy test [J per J]", ratio, "1", f"{test.blocks} pairs", f"{answer}, {test.outcome}"


def costs(now: Performance, before: Performance) -> Iterator[tuple[str, ...]]:
    """Latency, throughput and joules of two contenders; they have no interval but those of joules."""
    for label, unit, name, higher in (
        ("latency p50, one window", "ms", "latency_p50_ms", False),
        ("latency p99, one window", "ms", "latency_p99_ms", False),
        ("throughput in batches", "windows/s", "throughput_per_second", True),
    ):
        one, other = getattr(now, name), getattr(before, name)
        word = turn(one, other, higher_is_better=higher)
        yield f"{label} [{unit}]", number(one), number(other), relative(one, other), f"{word}, no interval"
    one, other = now.energy_per_1000, before.energy_per_1000
    word = turn(one.joules, other.joules, higher_is_better=False)
    apart = one.interval[1] < other.interval[0] or other.interval[1] < one.interval[0]
    yield (
        f"energy of 1,000 predictions, {one.provenance}",
        spent(one),
        spent(other),
        relative(one.joules, other.joules),
        word if apart else f"{word}, but the intervals overlap",
    )


def _best_baseline(evaluation: Evaluation) -> str:
    metric = evaluation.headline
    baselines = {
        name: scores[metric.name]
        for name, scores in evaluation.contenders.items()
        if name not in ("candidate", "champion") and metric.name in scores and scores[metric.name].units
    }
    if not baselines:
        return "There is no baseline either."
    best = (max if metric.higher_is_better else min)(baselines, key=lambda name: baselines[name].value)
    mine = evaluation.contenders.get("candidate", {}).get(metric.name)
    return (
        f"Of {len(baselines)} baseline{'s' if len(baselines) > 1 else ''} the best is {code(best)} with "
        f"{code(metric.name)} {scored(baselines[best], metric.unit)}; the candidate has {scored(mine, metric.unit)}."
    )


def _promoted_since(known: Known, evaluation: Evaluation) -> Iterator[str]:
    there = known.champion
    if there is not None and there.version and there.digest != evaluation.champion.digest:
        yield (
            f"**Version {code(there.version)} was promoted since:** these figures are about the champion before. "
            "Run the pipeline again."
        )
