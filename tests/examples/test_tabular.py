"""examples/tabular: tomorrow's power of a node, from what was recorded of it until today."""

import dataclasses
import importlib

import numpy as np
import pytest
from contract import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline import graph
from wattline.checkpoints import Kept
from wattline.grid import cut
from wattline.records import Column
from wattline.serving.inference.engine import Engine
from wattline.stages.prepare import with_target
from wattline.stages.train import PARITY_TOLERANCE
from wattline.task import Constants, Series

# The platform finds examples/tabular by its folder, so the folder is known from here on.
TASK = tiny.load("node_power")
from tabular import baselines, columns, scores  # noqa: E402
from tabular.deviations import Deviations  # noqa: E402

CONSTANTS = Constants(
    units=("a", "b"),
    center=np.array([[100, 20], [300, 30]], np.float32),
    scale=np.full((2, 2), 10, np.float32),
    pooled_center=np.array([200, 25], np.float32),
    pooled_scale=np.array([10, 5], np.float32),
)
DEVIATIONS = Deviations.of(CONSTANTS, largest=4.0)
STEPS = 5
NAN = float("nan")


def node(power, *, unit="a", history=0, inlet=20.0):
    """Rows of one node with that power, a day apart."""
    power = np.asarray(power, np.float32)
    values = np.stack([power, np.full(len(power), inlet, np.float32)], axis=1)
    timestamps = tiny.START + np.arange(len(power)) * np.timedelta64(1, "D")
    return Series(unit, "rack-0", timestamps, values, np.full(len(power), NAN), history)


@pytest.fixture(scope="module")
def fitting():
    """Imported here, because scikit-learn takes seconds that a process which only collects tests need not spend."""
    return importlib.import_module("tabular.fitting")


@pytest.fixture(scope="module")
def data():
    return tiny.training_data(TASK)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tiny.train("node_power", tmp_path_factory.mktemp("checkpoints"), history_days=STEPS)


@pytest.fixture(scope="module")
def engine(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    path.write_bytes(graph.canonical(trained.graph))
    signature = graph.signature(
        trained, TASK.description, columns=tiny.COLUMNS, units=list(tiny.UNITS), cadence_seconds=tiny.CADENCE
    )
    return Engine.of(path, signature)


def test_the_target_is_tomorrows_power_and_unknown_where_tomorrow_is():
    target = TASK.target(node([400, 500, NAN, 700]))
    np.testing.assert_array_equal(target, [500, NAN, 700, NAN])


def test_a_target_never_crosses_a_split():
    series = tiny.rows("node-0")
    series = dataclasses.replace(series, values=np.nan_to_num(series.values, nan=500))
    whole = TASK.target(series)
    pieces = [with_target(part, TASK) for part in cut(series, tiny.EDGES)]
    assert all(np.isnan(piece.target[-1]) for piece in pieces)
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    joined = np.concatenate([piece.target for piece in pieces])
    np.testing.assert_array_equal(np.flatnonzero(joined != whole), ends)


@pytest.mark.parametrize(
    "first", [Column(name="ambient_mean", unit="degC"), Column(name="total_power_mean", unit="kW")]
)
def test_another_first_column_is_refused_before_anything_is_computed(first, data, tmp_path):
    others = (first, *tiny.COLUMNS[1:])
    with pytest.raises(ValueError, match=rf"{first.name} \[{first.unit}\]"):
        TASK.expectations(tiny.dataset(others))
    with pytest.raises(ValueError, match=first.name):
        TASK.train(
            dataclasses.replace(data, columns=others),
            tiny.options("node_power"),
            tiny.Run(seed=0, checkpoints=Kept(tmp_path), report=lambda *_: None),
        )


def test_a_mean_is_expected_to_stay_below_its_maximum():
    names = ("total_power_mean", "total_power_max", "ambient_mean", "boot_max")
    found = list(columns.ordered([Column(name=name, unit="1") for name in names]))
    assert [(one.arguments["column_A"], one.arguments["column_B"]) for one in found] == [
        ("total_power_max", "total_power_mean")
    ]


def test_features_are_deviations_from_the_own_node_in_time_order():
    window = np.array([[[110, 20], [90, 25]]], np.float32)
    np.testing.assert_allclose(DEVIATIONS.features(window, np.array([0])), [[1, 0, -1, 1]])
    np.testing.assert_allclose(DEVIATIONS.features(window + 200, np.array([1])), [[1, 4, -1, 4]])


@pytest.mark.parametrize("unit", [-1, 2, 10**9])
def test_an_unknown_node_is_the_median_node(unit):
    window = np.array([[[200, 25]]], np.float32)
    np.testing.assert_array_equal(DEVIATIONS.features(window, np.array([unit])), [[0, 0]])
    assert DEVIATIONS.usual_power(np.array([unit])) == [200]


def test_a_missing_reading_is_a_usual_one_and_a_wild_one_is_bounded():
    window = np.array([[[NAN, 20], [100, 1e6]], [[-1e6, NAN], [NAN, NAN]]], np.float32)
    expected = [[0, 0, 0, 4], [-4, 0, 0, 0]]
    np.testing.assert_array_equal(DEVIATIONS.features(window, np.array([0, 0])), expected)


def test_only_days_with_a_known_tomorrow_are_learnt_from(fitting):
    series = node([100, 110, 120, 130])
    series = dataclasses.replace(series, target=np.array([110, NAN, 130, NAN]), history=1)
    features, change = fitting.examples({"a": series}, DEVIATIONS, units=("a", "b"), steps=2)
    np.testing.assert_array_equal(change, [30])
    np.testing.assert_array_equal(features[:, ::2], [[1, 2]])


def test_a_node_keeps_its_own_place_whatever_the_order_of_the_split(fitting):
    one, other = (dataclasses.replace(node([100, 100], unit=unit), target=np.full(2, 150.0)) for unit in "ab")
    _, change = fitting.examples({"b": other, "a": one}, DEVIATIONS, units=("a", "b"), steps=1)
    np.testing.assert_array_equal(change, [-150, -150, 50, 50])


def test_the_penalty_with_the_least_validation_error_stays(fitting, data, tmp_path):
    run = tiny.Run(seed=0, checkpoints=Kept(tmp_path), report=lambda *_: None)
    penalties = (1e-3, 10.0, 1e-2)
    forecaster, curves = fitting.fit(data, tiny.options("node_power", penalties=penalties), run)
    assert [figures["penalty"] for figures in curves[:-1]] == list(penalties)
    best = min(curves[:-1], key=lambda figures: figures["validation_rmse_watts"])
    assert curves[-1] == best
    rows = sum(int(np.isfinite(series.judged().target).sum()) for series in data.train.values())
    assert forecaster.pipeline["ridge"].alpha == pytest.approx(best["penalty"] * rows)


def test_the_model_beats_every_baseline_where_yesterday_tells_something(data, engine):
    predictors = {"candidate": engine.predict, **TASK.baselines(data, tiny.options("node_power"))}
    others = tiny.training_data(TASK, seed=1).validation.values()  # the same nodes on days like those, without a surge
    errors = {
        name: np.mean(
            [TASK.score(one.judged(), answer(one), cadence_seconds=tiny.CADENCE)["rmse_watts"] for one in others]
        )
        for name, answer in predictors.items()
    }
    assert min(errors, key=errors.__getitem__) == "candidate"


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3, 1.0]), size=st.sampled_from([1.0, 100.0, 1e7]))
def test_graph_and_pipeline_agree_on_whatever_a_sensor_may_say(trained, engine, seed, missing, size):
    generator = np.random.default_rng(seed)
    windows = generator.normal(500, size, (20, STEPS, len(tiny.COLUMNS))).astype(np.float32)
    windows[generator.random(windows.shape) < missing] = np.nan
    units = generator.integers(-2, len(tiny.UNITS) + 2, 20)
    answers, expected = engine.run(windows, units)["score"], trained.reference(windows, units)["score"]
    # An answer is the node's usual hundreds of watts plus a correction: near zero it is a difference of large numbers.
    np.testing.assert_allclose(answers, expected, rtol=PARITY_TOLERANCE, atol=PARITY_TOLERANCE * 500)


def test_the_graph_knows_which_node_it_is_asked_about(engine):
    usual = np.full((2, STEPS, len(tiny.COLUMNS)), np.nan, np.float32)
    low, high = engine.run(usual, np.array([0, 2]))["score"]
    assert high - low == pytest.approx(200, abs=60)


def test_persistence_carries_the_newest_reading_over_gaps_from_before_the_judged_rows():
    outputs = baselines.persistence(CONSTANTS, node([410, NAN, NAN, 430, NAN], history=2))
    np.testing.assert_array_equal(outputs["score"], [410, 430, 430])


def test_the_mean_of_seven_days_leaves_out_what_is_missing():
    power = [7000, 100, 200, NAN, 300, NAN, NAN, 400]
    outputs = baselines.seven_day_mean(CONSTANTS, node(power, history=7))
    np.testing.assert_array_equal(outputs["score"], [250])


@pytest.mark.parametrize(("unit", "usual"), [("a", 100), ("b", 300), ("never-seen", 200)])
@pytest.mark.parametrize("baseline", [baselines.persistence, baselines.seven_day_mean, baselines.node_median])
def test_without_any_reading_a_baseline_answers_what_is_usual(baseline, unit, usual):
    outputs = baseline(CONSTANTS, node([NAN, NAN, NAN], unit=unit))
    np.testing.assert_array_equal(outputs["score"], [usual] * 3)


def test_the_fleet_median_is_the_same_for_every_node():
    answers = [baselines.fleet_median(CONSTANTS, node([1, 2], unit=unit))["score"] for unit in ("a", "b", "c")]
    np.testing.assert_array_equal(answers, np.full((3, 2), 200))


def test_errors_are_what_their_names_say():
    found = scores.errors(np.array([100.0, 200.0]), np.array([130.0, 190.0]))
    assert found == {
        "rmse_watts": pytest.approx(np.sqrt(500)),
        "mae_watts": pytest.approx(20),
        "mape_percent": pytest.approx(17.5),
        "absolute_bias_watts": pytest.approx(10),
    }


def test_a_day_without_power_has_no_percentage_error():
    assert scores.errors(np.array([0.0, 100.0]), np.array([50.0, 110.0]))["mape_percent"] == pytest.approx(10)
    assert np.isnan(scores.errors(np.array([0.0]), np.array([50.0]))["mape_percent"])


def test_days_with_an_unknown_tomorrow_are_not_scored():
    truth = dataclasses.replace(node([0, 0, 0]), target=np.array([100.0, NAN, 300.0]))
    outputs = {"score": np.array([110, -9999, 310], np.float32)}
    assert TASK.score(truth, outputs, cadence_seconds=tiny.CADENCE)["rmse_watts"] == pytest.approx(10)


def test_equal_rows_give_equal_answers_to_the_platform_and_to_the_task(engine, trained):
    for series in tiny.unseen_rows(TASK).values():
        windows = series.windows(STEPS)
        units = np.full(len(windows), engine.signature.index(series.unit))
        assert graph.largest_difference(engine.predict(series), trained.reference(windows, units)) <= PARITY_TOLERANCE
