"""Components: the same jobs as the files in ci/, with inputs that are typed, and nothing said twice."""

import importlib.util

import pytest
import yaml

from gitlab.ci.configuration import ROOT, BadPipelineError, documents, read
from gitlab.ci.golden import events, text
from gitlab.ci.graph import findings
from gitlab.ci.rules import Event, plan

PIPELINE = read(ROOT / ".gitlab-ci.yml")
DIGEST = f"registry.example.org/python@sha256:{'0' * 64}"


def include(tmp_path, name, **inputs):
    """What a project gets that includes the component: its own file, and the component's from a checkout of ours."""
    main = tmp_path / "main.yml"
    stages = {"stages": PIPELINE.stages} if name != "pipeline" else {}
    main.write_text(yaml.safe_dump(stages | {"include": [{"local": f"/templates/{name}.yml", "inputs": inputs}]}))
    return read(main, root=ROOT)


def test_templates_are_what_is_written_from_ci():
    spec = importlib.util.spec_from_file_location("components", ROOT / "ci" / "components.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "templates").iterdir()}
    assert written == module.components(), "python ci/components.py"


def test_the_whole_pipeline_as_a_component_is_the_pipeline(tmp_path):
    found = include(tmp_path, "pipeline")
    assert found.jobs == PIPELINE.jobs
    assert found.variables == PIPELINE.variables
    assert text(found) == text(PIPELINE)


def test_an_organisation_sets_the_cluster_for_all_its_forks(tmp_path):
    found = include(tmp_path, "pipeline", hpc_tag="jacamar", hpc_parameters="--partition=gpu")
    merge_request = events()["merge request"]
    assert "train-hpc" in {planned.name for planned in plan(found, merge_request)}
    assert found.variables["WATTLINE_HPC_PARAMETERS"] == "--partition=gpu"
    own = Event({**merge_request.variables, "WATTLINE_HPC_TAG": ""}, merge_request.changed)
    assert "train" in {planned.name for planned in plan(found, own)}, "a project's own variable wins"


@pytest.mark.parametrize("stage", PIPELINE.stages)
def test_a_stage_stands_alone(stage, tmp_path):
    found = include(tmp_path, stage)
    own = {name: job for name, job in PIPELINE.jobs.items() if job["stage"] == stage}
    assert found.jobs == own
    moved = include(tmp_path, stage, stage="check", image=DIGEST)
    assert {job["stage"] for job in moved.jobs.values()} == {"check"}
    assert {job["image"] for job in moved.jobs.values() if "trigger" not in job} == {DIGEST}


@pytest.mark.parametrize("stage", ["check", "data_prep", "train", "monitor"])
def test_a_stage_that_others_come_after_needs_nothing_outside(stage, tmp_path):
    found = include(tmp_path, stage)
    outside = {need["job"] for job in found.jobs.values() for need in job["needs"] if not isinstance(need, str)}
    assert [line for line in findings(found) if not any(name in line for name in outside)] == []


@pytest.mark.parametrize(
    ("name", "inputs", "complaint"),
    [
        ("train", {"tags": "gpu"}, "tags must be of type array"),
        ("train", {"tag": ["gpu"]}, "knows no input"),
        ("pipeline", {"stages_as_jobs": "yes"}, "stages_as_jobs must be one of"),
        ("pipeline", {"builder": "kaniko"}, "builder must be one of"),
        ("pipeline", {"ci_image": "python:3.11"}, "ci_image must match"),
        ("validate", {"timeout": 4}, "timeout must be of type string"),
    ],
)
def test_a_wrong_input_is_refused(name, inputs, complaint, tmp_path):
    with pytest.raises(BadPipelineError, match=complaint):
        include(tmp_path, name, **inputs)


def test_every_input_says_what_it_is_for_and_has_a_default():
    for path in (ROOT / "templates").iterdir():
        declared, _ = documents(path)
        assert declared
        for name, entry in declared.items():
            assert entry.get("description"), f"{path.name}: {name}"
            assert "default" in entry, f"{path.name}: {name}"


def test_no_variable_is_put_into_the_form_of_a_new_pipeline():
    """GitLab sends what is in that form along, and it wins over what the project has set."""
    assert [name for name, entry in PIPELINE.raw["variables"].items() if isinstance(entry, dict)] == []
