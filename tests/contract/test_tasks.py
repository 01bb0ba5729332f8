"""Every task keeps the contract: what the platform may rely on, whichever task params.yaml names."""

import inspect

import numpy as np
import pytest
from safetensors.numpy import save

from contract import tiny
from wattline import graph
from wattline.checkpoints import Kept
from wattline.params import Block
from wattline.quality import expectations
from wattline.quality.tables import ADDED
from wattline.serving.inference.engine import Engine
from wattline.stages.train import PARITY_TOLERANCE, check_curves, check_parity
from wattline.task import MEMBERS, Series, Task, missing_members

NAMES = list(tiny.FOLDERS)
METHODS = [member for member in MEMBERS if inspect.isfunction(getattr(Task, member, None))]
CANDIDATES = ("candidate", "champion")


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def task(name):
    return tiny.load(name)


@pytest.fixture(scope="module")
def data(task):
    return tiny.training_data(task)


@pytest.fixture(scope="module")
def trained(name, tmp_path_factory):
    return tiny.train(name, tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def engine(task, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    path.write_bytes(graph.canonical(trained.graph))
    return Engine.of(path, signature(task, trained))


def signature(task, trained):
    return graph.signature(
        trained, task.description, columns=tiny.COLUMNS, units=list(tiny.UNITS), cadence_seconds=tiny.CADENCE
    )


def windows_of(split, steps):
    return np.concatenate([series.windows(steps) for series in split.values()])


def test_the_contract_has_at_most_eight_members_and_names_them_all():
    declared = {member for member in [*Task.__annotations__, *vars(Task)] if not member.startswith("_")}
    assert set(MEMBERS) == declared
    assert len(MEMBERS) <= 8


def test_a_task_has_every_member(task):
    assert list(missing_members(task)) == []
    assert isinstance(task, Task)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_takes_what_the_platform_gives(task, method):
    def shape(function):
        parameters = inspect.signature(function).parameters.values()
        return [(one.name, one.kind, one.default) for one in parameters if one.name != "self"]

    assert shape(getattr(type(task), method)) == shape(getattr(Task, method))


def test_the_description_is_complete(task):
    texts = task.description.model_dump(exclude={"metrics"})
    assert [field for field, text in texts.items() if not text.strip()] == []
    metrics = task.description.metrics
    assert all(metric.unit and metric.description for metric in metrics)
    assert len({metric.name for metric in metrics}) == len(metrics)


def test_the_block_of_params_fits_the_task(name, task):
    block = Block.model_validate(tiny.PARAMS[name])
    assert task.description.name == name
    assert block.gates.quality.metric == task.description.headline.name
    task.options.model_validate(block.train)


def test_an_unknown_option_is_refused(name, task):
    with pytest.raises(ValueError, match="extra_forbidden"):
        task.options.model_validate({**tiny.PARAMS[name]["train"], "learning_rat": 1})


def test_the_platform_understands_the_expectations(task):
    asked = task.expectations(tiny.dataset())
    expectations.check(asked, columns=[*ADDED, *(column.name for column in tiny.COLUMNS)])
    assert asked


def test_a_target_has_one_entry_a_row_and_leaves_the_rows_alone(task):
    series = tiny.rows("node-1")
    before = series.values.copy()
    target = task.target(series)
    assert target.shape == series.timestamps.shape
    assert target.dtype == np.float64
    np.testing.assert_array_equal(series.values, before)


def test_the_graph_keeps_its_signature(task, trained, engine):
    assert {output.name for output in engine.signature.outputs} == set(trained.output_units)
    assert trained.output_units["score"] == task.description.output_unit
    assert engine.signature.steps == trained.steps


def test_graph_and_trained_model_agree_with_gaps_and_unknown_units(trained, engine, data):
    difference, count = check_parity(trained, engine, data, engine.signature)
    assert difference <= PARITY_TOLERANCE
    assert count > 100


@pytest.mark.parametrize("unit", [0, len(tiny.UNITS), -1, 10**9])
def test_windows_without_any_value_get_finite_answers(engine, unit):
    shape = (2, engine.signature.steps, len(tiny.COLUMNS))
    answers = engine.run(np.full(shape, np.nan, np.float32), np.full(2, unit))
    assert answers["score"].shape == (2,)
    assert all(np.isfinite(values).all() for values in answers.values())


def test_absurd_readings_get_finite_answers(engine):
    shape = (1, engine.signature.steps, len(tiny.COLUMNS))
    for reading in (1e30, -1e30, 0.0):
        answers = engine.run(np.full(shape, reading, np.float32), np.array([0]))
        assert np.isfinite(answers["score"]).all()


def test_all_unknown_units_are_alike_and_differ_from_a_known_one(task, engine):
    windows = windows_of(tiny.unseen_rows(task), engine.signature.steps)
    one, other, known = (engine.run(windows, np.full(len(windows), unit))["score"] for unit in (-1, 99, 2))
    np.testing.assert_array_equal(one, other)
    assert not np.allclose(one, known)


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(task, engine):
    windows = windows_of(tiny.unseen_rows(task), engine.signature.steps)[:50]
    together = engine.run(windows, np.zeros(50))
    alone = [engine.run(windows[row : row + 1], np.zeros(1)) for row in range(50)]
    joined = {output: np.concatenate([answer[output] for answer in alone]) for output in together}
    assert graph.largest_difference(joined, together) <= PARITY_TOLERANCE


def test_equal_trainings_give_equal_bytes(name, trained, tmp_path):
    again = tiny.train(name, tmp_path)
    assert graph.canonical(again.graph) == graph.canonical(trained.graph)
    assert _saved(again) == _saved(trained)
    assert list(again.curves) == list(trained.curves)


def _saved(trained):
    return save({name: np.ascontiguousarray(tensor) for name, tensor in sorted(trained.tensors.items())})


def test_training_leaves_its_rows_as_they_were(name, task, tmp_path):
    data, pristine = tiny.training_data(task), tiny.training_data(task)
    task.train(data, tiny.options(name), tiny.Run(seed=0, checkpoints=Kept(tmp_path), report=lambda *_: None))
    for split in ("train", "validation"):
        for unit, series in getattr(pristine, split).items():
            np.testing.assert_array_equal(getattr(data, split)[unit].values, series.values)
            np.testing.assert_array_equal(getattr(data, split)[unit].target, series.target)


def test_training_leaves_figures_and_weights(trained):
    check_curves(trained.curves)
    assert sum(tensor.size for tensor in trained.tensors.values()) > 0


def test_scores_are_the_metrics_of_the_description(task, engine):
    metrics = {metric.name for metric in task.description.metrics}
    for series in tiny.unseen_rows(task).values():
        scores = task.score(series.judged(), engine.predict(series), cadence_seconds=tiny.CADENCE)
        assert set(scores) == metrics
        assert np.isfinite(scores[task.description.headline.name])


def test_without_a_known_target_every_score_is_undefined(task, engine):
    series = tiny.unseen_rows(task)["node-0"]
    outputs, judged = engine.predict(series), series.judged()
    unknown = Series(judged.unit, judged.group, judged.timestamps, judged.values, np.full(len(judged), np.nan))
    scores = task.score(unknown, outputs, cadence_seconds=tiny.CADENCE)
    assert set(scores) == {metric.name for metric in task.description.metrics}
    assert all(np.isnan(value) for value in scores.values())


def test_every_baseline_answers_for_every_judged_row(name, task, data):
    baselines = task.baselines(data, tiny.options(name))
    assert baselines
    assert not set(baselines) & set(CANDIDATES)
    for predictor in baselines.values():
        for series in tiny.unseen_rows(task).values():
            outputs = predictor(series)
            assert outputs["score"].shape == (len(series),)
            assert np.isfinite(outputs["score"]).all()
            scores = task.score(series.judged(), outputs, cadence_seconds=tiny.CADENCE)
            assert set(scores) == {metric.name for metric in task.description.metrics}
            assert np.isfinite(scores[task.description.headline.name])


def test_the_model_is_not_the_worst_contender(name, task, data, engine):
    """Weak on purpose: a headline whose direction is declared wrongly, or a broken target, shows here."""
    metric = task.description.headline
    predictors = {"candidate": engine.predict, **task.baselines(data, tiny.options(name))}
    split = tiny.unseen_rows(task).values()
    means = {
        contender: np.mean(
            [task.score(one.judged(), answer(one), cadence_seconds=tiny.CADENCE)[metric.name] for one in split]
        )
        for contender, answer in predictors.items()
    }
    worst = (min if metric.higher_is_better else max)(means, key=means.__getitem__)
    assert worst != "candidate"
