"""evaluate: candidate, champion and baselines on the same test rows, with intervals, slices and robustness."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from wattline import charts, comparison, files, splits
from wattline.params import EvaluateParams, typed
from wattline.perturbations import perturbations
from wattline.progress import progress
from wattline.records import Candidate, Champion, Column, Evaluation
from wattline.serving.inference.engine import Engine
from wattline.task import Predictor, Split, Task


def run(*, evaluate: EvaluateParams, train: Mapping[str, Any], seed: int, task: Task) -> None:
    """Write reports/evaluate.json with its slices and pictures."""
    manifest, test = splits.read_manifest(), splits.read_test()
    candidate = files.read_record(files.CANDIDATE / "candidate.json", Candidate)
    champion = read_champion()
    options = typed(task.options, train, where=f"params.yaml: {task.description.name}.train")
    contenders: dict[str, Predictor] = {"candidate": predictor(Engine(files.CANDIDATE), manifest.columns)}
    if champion.version is not None:
        contenders["champion"] = predictor(Engine(files.CHAMPION), manifest.columns)
    contenders |= task.baselines(splits.read_training_data(), options)
    disturbed = perturbations(contenders["candidate"], splits.read_constants(), evaluate, seed=seed)
    results = score_all(contenders | disturbed, test, task, cadence_seconds=manifest.cadence_seconds)
    summarise = partial(comparison.summary, resamples=evaluate.resamples, seed=seed)
    headline = task.description.headline
    evaluation = Evaluation(
        candidate=candidate.digest,
        champion=champion,
        data=manifest.data,
        rows=sum(len(series) for series in test.values()),
        rows_sha256=comparison.rows_digest(test),
        headline=headline,
        contenders={name: summarise(results[name]) for name in contenders},
        versus_champion=comparison.versus(results, resamples=evaluate.resamples, seed=seed),
        slices=comparison.slices(results["candidate"], test),
        robustness={name: summarise(results[name])[headline.name] for name in disturbed},
    )
    draw(evaluation, contenders["candidate"], test, unit=task.description.output_unit)
    files.write_report("evaluate", evaluation)


def score_all(
    contenders: Mapping[str, Predictor], test: Split, task: Task, *, cadence_seconds: float
) -> dict[str, comparison.UnitScores]:
    """Metrics of every contender by unit, showing how far it is."""
    results = {}
    with progress("evaluate") as report:
        for done, (name, answer) in enumerate(contenders.items(), start=1):
            results[name] = comparison.score_units(answer, test, task, cadence_seconds=cadence_seconds)
            report(name, done / len(contenders), {})
    return results


def read_champion() -> Champion:
    """What `wattline champion` fetched; an absent record means that none was ever asked for."""
    path = files.CHAMPION / "champion.json"
    return files.read_record(path, Champion) if path.exists() else Champion()


def predictor(engine: Engine, columns: Sequence[Column]) -> Predictor:
    """Answers of a graph for the judged rows of a unit."""
    return partial(engine.predict, columns=[column.name for column in columns])


def draw(evaluation: Evaluation, candidate: Predictor, test: Split, *, unit: str) -> None:
    """Write the pictures of reports/evaluate: contenders, slices, and the best and worst unit over time.

    unit: of the candidate's score
    """
    units = [part for part in evaluation.slices if part.kind == "unit"]
    with files.replace_directory(files.REPORTS / "evaluate") as folder:
        files.write_bytes(folder / "contenders.png", charts.contenders(evaluation))
        files.write_bytes(folder / "slices.png", charts.slices(evaluation))
        for name, part in charts.extremes(units, evaluation.headline).items():
            series = test[part.name]
            outputs = candidate(series)
            picture = charts.timeline(series.judged(), outputs, part, evaluation.headline, unit=unit)
            files.write_bytes(folder / f"{name}.png", picture)
