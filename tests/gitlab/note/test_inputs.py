"""A stage's inputs are its files, its knobs and its definition, and nothing that a stage itself wrote."""

from pathlib import Path

import pytest

from wattline.gitlab.note.inputs import touched

ROOT = Path(__file__).parents[3]
FILES = {name: (ROOT / name).read_bytes() for name in ("dvc.yaml", "params.yaml")}
ALL = ("ingest", "validate", "profile", "prepare", "train", "evaluate", "measure", "decide", "card")


def found(*changed: str, **former: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before = FILES | {name.replace("_yaml", ".yaml"): content for name, content in former.items()}
    change = touched(changed, before=before.get, now=FILES.get)
    assert change is not None
    return change.direct, change.later


@pytest.mark.parametrize("path", ["docs/a.md", "reports/validate.json", "dvc.lock", "model_cards/node_anomaly.md"])
def test_prose_and_what_the_pipeline_wrote_touch_nothing(path: str):
    assert found(path) == ((), ())


def test_a_file_touches_its_stage_and_what_comes_after():
    assert found("src/wattline/stages/decide.py") == (("decide", "card"), ())
    direct, later = found("data/external/rows.csv")
    assert (direct, later) == (("ingest",), ALL[1:])


def test_a_knob_touches_the_stages_that_read_it():
    params = FILES["params.yaml"].replace(b"seed: 7", b"seed: 8")
    assert found(params_yaml=params)[0] == ("ingest", "train", "evaluate", "measure")
    change = touched((), before={**FILES, "params.yaml": params}.get, now=FILES.get)
    assert change is not None
    assert change.knobs == {"seed": ("8", "7")}


def test_a_definition_touches_its_stage():
    pipeline = FILES["dvc.yaml"].replace(b"cmd: wattline run card", b"cmd: wattline card")
    assert found(dvc_yaml=pipeline) == (("card",), ())


def test_a_pipeline_that_cannot_be_read_is_not_called_unchanged():
    assert touched((), before=FILES.get, now={"dvc.yaml": b"stages: ["}.get) is None
