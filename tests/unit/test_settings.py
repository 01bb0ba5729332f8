"""settings: the environment, read once; what is set to nothing counts as not set."""

import os
import re
from pathlib import Path

import pytest

from wattline.errors import InputError
from wattline.settings import preset, settings, silence_telemetry

VARIABLES = ("WATTLINE_DATA_MIRROR", "MLFLOW_TRACKING_URI", "WATTLINE_STATE", "CI", "CI_COMMIT_SHA", "CI_JOB_URL")


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def test_without_any_variable_everything_is_local(tmp_path):
    assert settings().data_mirror is None
    assert settings().state == Path(".wattline")
    assert settings().tracking_uri == f"sqlite:///{tmp_path / '.wattline' / 'mlflow.db'}"
    assert settings().ci is False


def test_variables_are_taken(environment):
    environment.setenv("WATTLINE_DATA_MIRROR", "/mirror")
    environment.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    environment.setenv("CI", "true")
    assert settings().data_mirror == Path("/mirror")
    assert settings().tracking_uri == "http://127.0.0.1:5000"
    assert settings().ci is True


def test_what_is_set_to_nothing_counts_as_not_set(environment):
    for name in VARIABLES:
        environment.setenv(name, "")
    assert settings().data_mirror is None, "an empty mirror must not become the working directory"
    assert settings().state == Path(".wattline")
    assert settings().tracking_uri.startswith("sqlite:///")
    assert settings().ci is False
    assert settings().ci_commit_sha is None


def test_a_value_that_cannot_be_read_is_named_in_one_line(environment):
    environment.setenv("CI", "perhaps")
    with pytest.raises(InputError, match=r"^environment variable CI .*'perhaps'") as caught:
        settings()
    assert "\n" not in str(caught.value)


def test_what_wattline_does_not_know_is_no_concern(environment):
    environment.setenv("WATTLINE_COLOUR", "blue")
    settings()


def test_the_environment_is_read_once(environment):
    first = settings()
    environment.setenv("WATTLINE_STATE", "elsewhere")
    assert settings() is first


def test_what_a_person_has_set_stays_as_it_is(environment):
    environment.setenv("WATTLINE_TEST_SET", "mine")
    environment.setenv("WATTLINE_TEST_UNSET", "")
    environment.delenv("WATTLINE_TEST_UNSET")
    preset({"WATTLINE_TEST_SET": "yours", "WATTLINE_TEST_UNSET": "yours"})
    assert os.environ["WATTLINE_TEST_SET"] == "mine"
    assert os.environ["WATTLINE_TEST_UNSET"] == "yours"


def test_libraries_are_told_not_to_call_home(environment):
    for name in ("DO_NOT_TRACK", "GX_ANALYTICS_ENABLED", "ORT_DISABLE_TELEMETRY"):
        environment.setenv(name, "unset")
    silence_telemetry()
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_nothing_else_reads_the_environment():
    source = Path(__file__).parents[2] / "src"
    # A task may preset what a library of its own is configured by.
    readers = re.compile(r"os\.(environ(?!\.setdefault)|getenv|putenv)")
    found = [path.name for path in source.rglob("*.py") if readers.search(path.read_text())]
    assert found == ["settings.py"]
