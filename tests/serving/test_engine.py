"""The engine answers like the function its graph was made from, and refuses every other file."""

from pathlib import Path

import numpy as np
import pytest
from builders import COLUMNS, STEPS, mean_abs, scorer, series, signature, write_candidate, write_record
from onnx import TensorProto

from wattline.errors import InputError, IntegrityError
from wattline.records import Column
from wattline.serving.engine import Engine

NAMES = [column.name for column in COLUMNS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_candidate(tmp_path)
    return tmp_path


@pytest.mark.parametrize("unit", [0, 1, 2, -1, 3, 2**62, -(2**62)])
def test_every_unit_index_is_answered_and_those_out_of_range_are_unknown(folder: Path, unit: int):
    windows, units = np.random.default_rng(1).normal(size=(5, STEPS, 3)).astype(np.float32), np.full(5, unit)
    np.testing.assert_allclose(Engine(folder).run(windows, units)["score"], mean_abs(windows, units), rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 1024])
@pytest.mark.parametrize("history", [0, 2, 30])
def test_a_series_gets_the_same_answers_in_batches_of_any_size(folder: Path, batch: int, history: int):
    rows = series(50, history=history)
    outputs = Engine(folder).predict(rows, batch=batch)
    windows = rows.windows(STEPS)
    expected = mean_abs(windows, np.full(len(windows), 1))
    np.testing.assert_allclose(outputs["score"], expected, rtol=1e-6)
    assert {name: output.shape for name, output in outputs.items()} == {
        "score": (len(rows),),
        "threshold": (len(rows),),
        "contribution": (len(rows), 3),
    }


def test_answers_are_the_same_bytes_for_any_batch_and_number_of_threads(folder: Path):
    rows = series(300)
    answers = {
        Engine(folder, threads=threads).predict(rows, batch=batch)["score"].tobytes()
        for threads in (1, 2)
        for batch in (1, 64, 300)
    }
    assert len(answers) == 1


def test_columns_are_found_by_name_in_any_order_and_among_others(folder: Path):
    rows = series(20)
    expected = Engine(folder).predict(rows)["contribution"]
    shuffled = series(20, columns=5)
    shuffled.values[:, [4, 0, 2]] = rows.values
    outputs = Engine(folder).predict(shuffled, columns=["temperature", "fan", "load", "inlet", "power"])
    np.testing.assert_array_equal(outputs["contribution"], expected)


def test_a_series_without_a_column_of_the_model_is_refused_by_name(folder: Path):
    with pytest.raises(InputError, match="temperature"):
        Engine(folder).predict(series(20), columns=["power", "inlet", "load"])


def test_a_series_with_more_columns_than_names_is_refused(folder: Path):
    with pytest.raises(InputError, match="4 columns"):
        Engine(folder).predict(series(20, columns=4), columns=NAMES)
    with pytest.raises(InputError, match="4 columns"):
        Engine(folder).predict(series(20, columns=4))


def test_a_series_without_judged_rows_has_empty_answers(folder: Path):
    outputs = Engine(folder).predict(series(10, history=10))
    assert outputs["score"].shape == (0,)
    assert outputs["contribution"].shape == (0, 3)


def test_windows_of_another_shape_are_refused(folder: Path):
    with pytest.raises(InputError, match=r"\(2, 4, 3\)"):
        Engine(folder).run(np.zeros((2, 5, 3), np.float32), np.zeros(2, np.int64))


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "weights.safetensors"])
def test_one_changed_byte_in_any_recorded_file_is_found(folder: Path, name: str):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=name):
        Engine(folder)


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "candidate.json"])
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        Engine(folder)


def test_weights_are_not_needed_to_answer(folder: Path):
    (folder / "weights.safetensors").unlink()
    assert Engine(folder).candidate.parameters == 4


def test_a_record_without_the_graph_protects_nothing_and_is_refused(folder: Path):
    record = (folder / "candidate.json").read_text()
    (folder / "candidate.json").write_text(record.replace('"model.onnx"', '"other.onnx"'))
    with pytest.raises(IntegrityError, match=r"no digest of model\.onnx"):
        Engine(folder)


def test_bytes_that_are_no_graph_are_refused_although_their_digest_fits(folder: Path):
    (folder / "model.onnx").write_bytes(b"not a graph")
    write_record(folder)
    with pytest.raises(InputError, match="cannot be loaded"):
        Engine(folder)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (scorer(rename={"unit": "node"}), "inputs"),
        (scorer(rename={"score": "answer"}), "outputs"),
        (scorer(optional=False), "threshold"),
        (scorer(window_type=TensorProto.DOUBLE), "window is tensor"),
        (scorer(steps=STEPS + 1), "shape"),
        (scorer(COLUMNS[:2]), "shape"),
    ],
)
def test_a_graph_that_does_not_keep_its_signature_is_refused(tmp_path: Path, model, named: str):
    write_candidate(tmp_path, model=model)
    with pytest.raises(InputError, match=named):
        Engine(tmp_path)


def test_a_signature_that_does_not_keep_the_contract_is_refused(tmp_path: Path):
    one_more = (*COLUMNS, Column(name="fan", unit="1/min"))
    declared = signature().model_copy(update={"columns": one_more})
    write_candidate(tmp_path, declared=declared)
    with pytest.raises(InputError, match=r"window \(batch, 4, 4\)"):
        Engine(tmp_path)


def test_a_graph_without_a_score_is_refused(tmp_path: Path):
    declared = signature(optional=False)
    answer = declared.outputs[0].model_copy(update={"name": "answer"})
    model = scorer(optional=False, rename={"score": "answer"})
    write_candidate(tmp_path, model=model, declared=declared.model_copy(update={"outputs": (answer,)}))
    with pytest.raises(InputError, match="score"):
        Engine(tmp_path)


def test_a_graph_that_is_no_candidate_yet_answers_but_has_no_record(folder: Path):
    engine = Engine.of(folder / "model.onnx", signature())
    rows = series(10)
    np.testing.assert_array_equal(engine.predict(rows)["score"], Engine(folder).predict(rows)["score"])
    with pytest.raises(InputError, match=r"candidate\.json"):
        _ = engine.candidate
