"""dvc.lock and dvc.yaml of a version: read as one pipeline, or refused by what differs."""

import pytest
import yaml

from wattline.errors import InputError
from wattline.reproduction import pipeline

PARAMS = "task: {name: tiny, folder: src/tiny}\n"
WIRING = {
    "late": {"cmd": "late", "deps": ["made/a"], "metrics": [{"reports/late.json": {"meta": {"measured": True}}}]},
    "early": {"cmd": "early", "deps": ["${task.folder}"], "outs": [{"made": {"persist": True}}, "${task.name}.md"]},
    "other": {"cmd": "other", "plots": ["curve.csv"]},
}
LOCK = {
    "late": {"cmd": "late", "deps": [{"path": "made/a"}], "outs": [{"path": "reports/late.json", "md5": "3"}]},
    "early": {
        "cmd": "early",
        "deps": [{"path": "src/tiny", "md5": "0.dir"}],
        "outs": [{"path": "made", "md5": "1.dir", "nfiles": 4}, {"path": "tiny.md", "md5": "2"}],
    },
    "other": {"cmd": "other", "outs": [{"path": "curve.csv", "md5": "4"}]},
}


def read(wiring=WIRING, lock=LOCK):
    texts = {"lock": yaml.safe_dump({"schema": "2.0", "stages": lock}, sort_keys=False)}
    return pipeline.read(**texts, wiring=yaml.safe_dump({"stages": wiring}), params=PARAMS)


def test_a_stage_comes_after_those_whose_outputs_it_reads():
    assert [stage.name for stage in read()] == ["early", "other", "late"]


def test_an_output_carries_its_digest_and_whether_it_is_measured():
    outputs = {output.path: (output.md5, output.measured) for stage in read() for output in stage.outputs}
    assert outputs == {
        "made": ("1.dir", False),
        "tiny.md": ("2", False),
        "curve.csv": ("4", False),
        "reports/late.json": ("3", True),
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"early": WIRING["early"] | {"cmd": "earlier"}}, "dvc.yaml of the commit runs 'earlier' as early"),
        ({"early": WIRING["early"] | {"deps": []}}, "dependencies of early: dvc.lock has src/tiny, dvc.yaml has not"),
        ({"other": WIRING["other"] | {"outs": ["x"]}}, "outputs of other: dvc.yaml has x, dvc.lock has not"),
        ({"more": {"cmd": "more"}}, "stages: dvc.yaml has more, dvc.lock has not"),
    ],
)
def test_another_pipeline_is_refused_by_what_differs(change, complaint):
    with pytest.raises(InputError, match=complaint):
        read(wiring=WIRING | change)


@pytest.mark.parametrize("text", ["", "stages: 1", "{", "stages: {a: {outs: [{md5: x}]}}"])
def test_what_is_no_lock_is_refused(text):
    with pytest.raises(InputError, match=r"dvc\.lock as registered cannot be read"):
        pipeline.read(lock=text, wiring="stages: {}", params=PARAMS)


def test_an_output_that_nobody_writes_is_named():
    with pytest.raises(InputError, match="names no output data/raw"):
        pipeline.maker(read(), "data/raw")
