"""A machine that answers otherwise than the one where the model was made is found before anybody is answered."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import COLUMNS, STEPS, mean_abs, scorer, signature

from wattline.errors import IntegrityError
from wattline.serving.inference import golden
from wattline.serving.inference.engine import Engine
from wattline.serving.inference.golden import Golden

UNITS = np.array([1, -1])


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    path = tmp_path / "model.onnx"
    path.write_bytes(scorer().SerializeToString())
    return Engine.of(path, signature())


def windows() -> Any:
    """Two windows of awkward numbers; the second lacks a value."""
    found = np.random.default_rng(3).normal(100, 1e3, (2, STEPS, len(COLUMNS))).astype(np.float32)
    found[0, 0] = [0.1, 1e-42, -3.4e38]
    found[0, 1] = [16777217, 1 / 3, -0.0]
    found[1, -1, 0] = np.nan
    return found


def recorded(engine: Engine, **changes: Any) -> Golden:
    return Golden.from_json(json.dumps(json.loads(golden.make(engine, windows(), UNITS)) | changes))


def test_the_same_windows_give_the_same_bytes(engine: Engine):
    assert golden.make(engine, windows(), UNITS) == golden.make(engine, windows().copy(), UNITS.astype(np.int32))


def test_windows_are_read_back_exactly_from_the_shortest_numbers(engine: Engine):
    content = golden.make(engine, windows(), UNITS)
    read = np.array(Golden.from_json(content).windows, dtype=np.float32)
    np.testing.assert_array_equal(read, windows())
    assert b"[0.1,1e-42,-3.4e+38]" in content
    assert content.count(b"null") == 1
    assert content.endswith(b"}\n")


def test_the_answers_are_those_of_the_graph(engine: Engine):
    found = recorded(engine)
    np.testing.assert_allclose(found.outputs["score"], mean_abs(windows(), UNITS), rtol=1e-6)
    assert set(found.outputs) == {"score", "threshold", "contribution"}
    golden.check(engine, found)


def test_an_infinite_reading_is_recorded_as_the_missing_one_that_it_is_read_as(engine: Engine):
    infinite = windows()
    infinite[0, 0, 0] = np.inf
    golden.check(engine, Golden.from_json(golden.make(engine, infinite, UNITS)))


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        (0.0, True),
        (5e-5, True),
        (-5e-5, True),
        (1e-3, False),
        (-1e-3, False),
        (1.0, False),
        (math.nan, False),
        (math.inf, False),
        (-math.inf, False),
    ],
)
@pytest.mark.parametrize("output", ["score", "contribution"])
def test_an_answer_may_differ_by_rounding_alone(engine: Engine, monkeypatch, output: str, change: float, agrees: bool):
    found, run = recorded(engine), engine.run

    def otherwise(*arguments: Any, **options: Any) -> Any:
        answers = run(*arguments, **options)
        answers[output].reshape(-1)[-1] *= np.float32(1 + change)
        return answers

    monkeypatch.setattr(engine, "run", otherwise)
    if agrees:
        golden.check(engine, found)
        return
    with pytest.raises(IntegrityError, match=rf"{output}\[1.*must be .*computes .*; use the ONNX Runtime"):
        golden.check(engine, found)


def test_an_answer_near_zero_is_compared_absolutely(engine: Engine, monkeypatch):
    outputs = {"score": [0.0, 1e-9]}
    found = recorded(engine, outputs=outputs)
    monkeypatch.setattr(engine, "run", lambda *_, **__: {"score": np.array([5e-5, -5e-5], np.float32)})
    golden.check(engine, found)
    monkeypatch.setattr(engine, "run", lambda *_, **__: {"score": np.array([0, 2e-4], np.float32)})
    with pytest.raises(IntegrityError, match=r"score\[1\]"):
        golden.check(engine, found)


@pytest.mark.parametrize("undefined", [np.nan, np.inf, -np.inf])
def test_an_answer_that_was_undefined_must_stay_undefined(engine: Engine, monkeypatch, undefined: float):
    found = recorded(engine, outputs={"score": [None, 1.0]})
    monkeypatch.setattr(engine, "run", lambda *_, **__: {"score": np.array([undefined, 1], np.float32)})
    golden.check(engine, found)
    monkeypatch.setattr(engine, "run", lambda *_, **__: {"score": np.array([0, 1], np.float32)})
    with pytest.raises(IntegrityError, match=r"score\[0\].*must be nan"):
        golden.check(engine, found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outputs": {"score": [0.0, 0.0]}}, r"records answers \['score'\], the graph gives"),
        ({"outputs": {}}, r"records answers \[\]"),
        (
            {"outputs": {"score": [0.0], "threshold": [2.0, 2.0], "contribution": [[0.0] * 3] * 2}},
            r"score of shape \(1,\)",
        ),
        ({"outputs": {"score": [[0.0], [0.0, 1.0]]}}, "no arrays"),
        ({"outputs": {"score": ["one", "two"]}}, "no arrays"),
        ({"outputs": {"score": [{"a": 1}, None]}}, "no arrays"),
        ({"windows": [[[1.0, 2.0]]]}, r"windows of shape \(1, 1, 2\), the signature says \(2, 4, 3\)"),
        ({"windows": [[[1.0], [1.0, 2.0]]]}, "no arrays"),
        ({"units": [0]}, r"the signature says \(1, 4, 3\)"),
        ({"units": [0, 2**70]}, "no arrays"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused_with_its_name(engine: Engine, changes: dict[str, Any], words: str):
    with pytest.raises(IntegrityError, match=words):
        golden.check(engine, recorded(engine, **changes))


def test_another_graph_is_found_out(engine: Engine, tmp_path: Path):
    model = scorer()
    for value in model.graph.initializer:
        if value.name == "centers":
            value.raw_data = np.array([1, 2.01, 3, 0], np.float32).tobytes()
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(IntegrityError, match="score"):
        golden.check(Engine.of(tmp_path / "other.onnx", signature()), ordinary(engine))


def ordinary(engine: Engine) -> Golden:
    small = np.random.default_rng(4).normal(5, 1, (2, STEPS, len(COLUMNS))).astype(np.float32)
    return Golden.from_json(golden.make(engine, small, UNITS))
