"""`wattline demo`: what it does to params.yaml, and what it says when something goes wrong."""

import shutil
from pathlib import Path

import pytest
import yaml

from wattline import demonstration, params
from wattline.errors import InputError, RejectedError, WattlineError
from wattline.records import Champion, Decision, Verdict

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    return tmp_path / "params.yaml"


def test_choosing_a_source_writes_its_preset_and_keeps_every_comment(path):
    comments = path.read_text().count("#")
    demonstration.choose_source("smd", path=path)
    block = yaml.safe_load(path.read_text())["node_anomaly"]
    assert block["ingest"]["source"] == "smd"
    for section, values in block["presets"]["smd"].items():
        assert block[section] | values == block[section]
    assert path.read_text().count("#") == comments


def test_going_there_and_back_again_changes_nothing_but_white_space(path):
    before = path.read_text().split()
    demonstration.choose_source("jumpstarter", path=path)
    assert path.read_text().split() != before
    demonstration.choose_source("simulator", path=path)
    assert path.read_text().split() == before


def test_an_unknown_source_is_named_with_the_known_ones_and_nothing_is_written(path):
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"SOURCE=nowhere: .* known: simulator, smd, jumpstarter"):
        demonstration.choose_source("nowhere", path=path)
    assert path.read_bytes() == before


def test_a_preset_that_params_would_not_allow_is_refused_and_nothing_is_written(path):
    path.write_text(path.read_text().replace("    smd: {train: {", "    smd: {evaluate: {resamples: 1}, train: {"))
    before, unwritten = path.read_bytes(), [entry.name for entry in path.parent.iterdir()]
    with pytest.raises(InputError, match="resamples"):
        demonstration.choose_source("smd", path=path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == unwritten


def test_a_failed_pipeline_ends_the_demonstration(path, monkeypatch):
    with pytest.raises(WattlineError, match="dvc repro ended with exit code"):
        demonstration.reproduce()


def test_a_rejected_candidate_is_shown_and_not_registered(path, monkeypatch):
    verdict = Verdict(name="quality", passed=False, value=0.1, limit=0.3, reason="too low")
    decision = Decision(candidate="c", data="d", verdicts=(verdict,))
    monkeypatch.setattr(demonstration, "reproduce", lambda: None)
    monkeypatch.setattr(demonstration.files, "read_report", lambda *_: decision)
    monkeypatch.setattr("wattline.registry.fetching.fetch_champion", lambda *_, **__: Champion())
    monkeypatch.setattr("wattline.registry.registration.register", lambda *_, **__: pytest.fail("registered"))
    said = []
    with pytest.raises(RejectedError, match="nothing was registered"):
        demonstration.run(None, say=said.append)
    assert "FAIL" in "\n".join(said)
    assert "too low" in "\n".join(said)
    assert params.load().task.name == "node_anomaly"


def test_a_server_that_dies_is_reported_with_its_exit_code(path):
    with pytest.raises(WattlineError, match="exit code 2"), demonstration.served(Path("nothing here")):
        pytest.fail("there is no model to serve")


@pytest.mark.parametrize(
    ("preset", "complaint"),
    [
        ("{trian: {model: pca}}", r"presets\.smd\.trian is not a section"),
        ("{train: {modle: pca}}", r"node_anomaly\.train\.modle is not a known key"),
    ],
)
def test_a_misspelt_preset_is_named_and_nothing_is_written(path, preset, complaint):
    lines = path.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("    smd: {train: {"))
    path.write_text("\n".join([*lines[:start], f"    smd: {preset}", *lines[start + 1 :]]))
    before = path.read_bytes()
    with pytest.raises(InputError, match=complaint):
        demonstration.choose_source("smd", path=path)
    assert path.read_bytes() == before
