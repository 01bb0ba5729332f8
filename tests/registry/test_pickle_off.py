"""MLflow under our settings unpickles nothing, an old one is not used, and what examples deploy is still read."""

import subprocess
import sys
from pathlib import Path

import pytest
from contract import tiny
from safetensors.numpy import load_file, save

from wattline import files, graph
from wattline.errors import InputError
from wattline.registry import contents, store
from wattline.serving.inference.engine import Engine
from wattline.settings import settings

VARIABLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
SAVE = """
import sys, mlflow, numpy
from sklearn.linear_model import LinearRegression
model = LinearRegression().fit(numpy.eye(2), [0, 1])
class Own(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
mlflow.sklearn.save_model(model, sys.argv[1] + "/sklearn", serialization_format="cloudpickle", pip_requirements=[])
mlflow.pyfunc.save_model(sys.argv[1] + "/pyfunc", python_model=Own(), pip_requirements=[])
"""


@pytest.fixture(scope="module")
def pickled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models as others log them: pickled."""
    folder = tmp_path_factory.mktemp("pickled")
    subprocess.run([sys.executable, "-W", "ignore", "-c", SAVE, str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("flavour", ["sklearn", "pyfunc"])
def test_a_pickled_model_is_refused(project: Path, pickled: Path, flavour: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, "0")
    with store.session():
        import mlflow
        from mlflow.exceptions import MlflowException

        with pytest.raises(MlflowException, match=VARIABLE):
            mlflow.pyfunc.load_model(str(pickled / flavour))


@pytest.mark.parametrize("value", ["true", "True", "1", "yes"])
def test_who_allows_pickles_is_told_to_stop(project: Path, monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv(VARIABLE, value)
    settings.cache_clear()
    with pytest.raises(InputError, match=f"{VARIABLE}.*unset it"), store.session():
        pytest.fail("the store was opened")


def test_a_value_that_is_none_is_named(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, "perhaps")
    settings.cache_clear()
    with pytest.raises(InputError, match=VARIABLE), store.session():
        pytest.fail("the store was opened")


@pytest.mark.parametrize("value", ["", "false", "0"])
def test_set_to_nothing_or_to_no_it_is_off(project: Path, monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv(VARIABLE, value)
    settings.cache_clear()
    with store.session():
        from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION

        assert MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get() is False


def test_an_old_mlflow_is_not_used(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    information = tmp_path / "old" / "mlflow-3.10.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mlflow\nVersion: 3.10.1\n")
    monkeypatch.syspath_prepend(tmp_path / "old")
    with pytest.raises(InputError, match=r"mlflow 3\.10\.1 is installed.*3\.11"), store.session():
        pytest.fail("the store was opened")


@pytest.mark.parametrize("name", list(tiny.FOLDERS))
def test_what_an_example_deploys_passes_and_is_read(project: Path, tmp_path: Path, name: str):
    task, trained = tiny.load(name), tiny.train(name, tmp_path / "checkpoints")
    folder = tmp_path / "deployed"
    files.write_bytes(folder / "model.onnx", graph.canonical(trained.graph))
    files.write_bytes(folder / "weights.safetensors", save(dict(trained.tensors)))
    declared = graph.signature(
        trained, task.description, columns=tiny.COLUMNS, units=list(tiny.UNITS), cadence_seconds=tiny.CADENCE
    )
    files.write_text(folder / "signature.json", declared.to_json())
    contents.check(folder)
    Engine.of(folder / "model.onnx", declared)
    assert load_file(folder / "weights.safetensors").keys() == trained.tensors.keys()
