"""The engine answers like the function its graph was made from, and refuses every other file."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from builders import COLUMNS, STEPS, mean_abs, scorer, series, signature, write_candidate, write_record
from onnx import TensorProto, helper, numpy_helper

from wattline.errors import InputError, IntegrityError
from wattline.records import Column
from wattline.serving.inference import contents
from wattline.serving.inference.engine import Engine, GraphError, StoppedError
from wattline.serving.inference.session import CUDA

NAMES = [column.name for column in COLUMNS]


def test_the_library_beneath_is_forbidden_to_call_home_before_it_is_imported():
    # It keeps an identifier of the machine in the home folder, and says on stderr when it cannot.
    done = subprocess.run(
        [sys.executable, "-c", "import wattline.serving.inference.session"],
        env={"PATH": os.environ["PATH"], "HOME": "/proc"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_candidate(tmp_path, golden=True)
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


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "weights.safetensors", "golden.json"])
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


@pytest.mark.parametrize("threads", [1, 2])
def test_windows_that_are_no_contiguous_float32_are_answered_alike(folder: Path, threads: int):
    engine = Engine(folder, threads=threads)
    windows, units = np.random.default_rng(1).normal(size=(6, STEPS, 3)), np.array([0, 1, 2, -1, 0, 1])
    expected = engine.run(windows.astype(np.float32), units)["score"]
    backwards = np.asfortranarray(windows.astype(np.float32))
    every_second = np.repeat(windows, 2, axis=1)[:, ::2]
    for same in (windows, backwards, every_second):
        np.testing.assert_array_equal(engine.run(same, units.astype(np.int32))["score"], expected)


def test_a_waiting_thread_of_the_graph_does_not_spin(folder: Path):
    options = Engine(folder, threads=2)._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def counting(trips: int) -> onnx.ModelProto:
    """A graph that keeps the contract and runs as long as one likes."""
    make, value = helper.make_node, helper.make_tensor_value_info
    body = helper.make_graph(
        [make("Identity", ["go"], ["go_on"]), make("Add", ["sum", "one"], ["more"])],
        "body",
        [
            value("trip", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("sum", TensorProto.FLOAT, ["n"]),
        ],
        [value("go_on", TensorProto.BOOL, []), value("more", TensorProto.FLOAT, ["n"])],
        initializer=[numpy_helper.from_array(np.float32(1), "one")],
    )
    constants = {"axes": np.array([1, 2]), "trips": np.int64(trips), "true": np.asarray(True)}
    graph = helper.make_graph(
        [
            make("ReduceMean", ["window", "axes"], ["mean"], keepdims=0),
            make("Loop", ["trips", "true", "mean"], ["score"], body=body),
        ],
        "counting",
        [value("window", TensorProto.FLOAT, ["batch", STEPS, 3]), value("unit", TensorProto.INT64, ["batch"])],
        [value("score", TensorProto.FLOAT, ["batch"])],
        initializer=[numpy_helper.from_array(np.asarray(content), name) for name, content in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def windows_of_zeros(batch: int) -> tuple[Any, Any]:
    return np.zeros((batch, STEPS, 3), np.float32), np.zeros(batch, np.int64)


def test_a_run_that_would_never_end_is_stopped_by_another_thread(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(counting(2**62).SerializeToString())
    engine = Engine.of(path, signature(optional=False))
    options, errors = engine.options(), []

    def run() -> None:
        try:
            engine.run(*windows_of_zeros(1), options=options)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    options.terminate = True
    thread.join(60)
    assert [type(error) for error in errors] == [StoppedError]


def test_one_stopped_run_does_not_stop_the_next(folder: Path):
    engine = Engine(folder)
    stopped = engine.options()
    stopped.terminate = True
    with pytest.raises(StoppedError):
        engine.run(*windows_of_zeros(2), options=stopped)
    assert engine.run(*windows_of_zeros(2), options=engine.options())["score"].shape == (2,)


def test_a_graph_that_fails_on_a_window_says_so_and_answers_the_next(tmp_path: Path):
    model = scorer()
    for node in model.graph.node:
        if node.op_type == "Gather":
            node.input[1] = "unit"  # places are not checked any more
    write_candidate(tmp_path, model=model)
    engine = Engine(tmp_path)
    windows, units = windows_of_zeros(1)
    with pytest.raises(GraphError, match="the graph failed") as caught:
        engine.run(windows, units + 99)
    assert not isinstance(caught.value, StoppedError)
    assert engine.run(windows, units)["score"].shape == (1,)


class TestDevice:
    """What was asked for is what is used."""

    @pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this onnxruntime has CUDA")
    def test_cuda_without_cuda_is_refused_with_the_remedy(self, folder: Path):
        with pytest.raises(InputError, match=r"serving\.batching\.device is cuda.*install onnxruntime-gpu"):
            Engine(folder, device="cuda")

    @pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this onnxruntime has CUDA")
    @pytest.mark.filterwarnings("ignore:Specified provider")
    def test_cuda_whose_libraries_do_not_load_does_not_become_the_cpu(self, folder: Path, monkeypatch):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
        with pytest.raises(InputError, match="libraries could not be loaded"):
            Engine(folder, device="cuda")

    def test_another_device_is_refused(self, folder: Path):
        with pytest.raises(InputError, match="cpu, cuda, got 'tpu'"):
            Engine(folder, device="tpu")


@pytest.mark.parametrize(("name", "limit"), [("model.onnx", 2 * 1024**3), ("candidate.json", 64 * 1024**2)])
def test_a_huge_file_is_refused_unread(folder: Path, name: str, limit: int):
    os.truncate(folder / name, limit + 1)
    with pytest.raises(InputError, match=f"{name} has {limit + 1} bytes, at most {limit} are loaded"):
        Engine(folder)


@pytest.mark.parametrize("name", ["../weights.bin", "/etc/passwd", "a/../../b", "..\\b", ""])
def test_a_record_that_names_files_elsewhere_is_refused(folder: Path, name: str):
    record = contents.read(folder).candidate
    (folder / "candidate.json").write_text(record.model_copy(update={"files": {**record.files, name: "0"}}).to_json())
    with pytest.raises(IntegrityError, match="outside of its folder"):
        Engine(folder)


def test_what_was_verified_is_what_is_loaded_also_when_files_are_exchanged_meanwhile(folder: Path, monkeypatch):
    read_bounded = contents.read_bounded

    def read_then_exchange(path: Path) -> bytes:
        content = read_bounded(path)
        path.write_bytes(b"exchanged")
        return content

    monkeypatch.setattr(contents, "read_bounded", read_then_exchange)
    engine = Engine(folder)
    assert engine.signature == signature()
    assert engine.run(*windows_of_zeros(1))["score"].shape == (1,)


def test_a_graph_with_an_operator_of_somebody_else_is_refused(tmp_path: Path):
    model = scorer()
    model.graph.node.append(helper.make_node("Run", ["window"], ["nothing_else"], domain="custom"))
    model.opset_import.append(helper.make_opsetid("custom", 1))
    write_candidate(tmp_path, model=model)
    with pytest.raises(InputError, match="custom:Run"):
        Engine(tmp_path)


def test_the_other_format_of_onnx_runtime_is_refused(tmp_path: Path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(scorer().SerializeToString(), options, providers=["CPUExecutionProvider"])
    write_candidate(tmp_path)
    (tmp_path / "model.onnx").write_bytes((tmp_path / "model.ort").read_bytes())
    (tmp_path / "model.ort").unlink()
    write_record(tmp_path)
    with pytest.raises(InputError, match="cannot be loaded"):
        Engine(tmp_path)
