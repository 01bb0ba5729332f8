"""The pipeline as a graph: GitLab would accept it, and each mistake that it would refuse is found."""

import textwrap

import pytest

from gitlab.ci.configuration import ROOT, BadPipelineError, read
from gitlab.ci.graph import findings, needed, reserved
from gitlab.ci.rules import Event, plan

GOOD = """
    stages: [one, two]
    first: {stage: one, script: [echo], rules: [{if: $A}]}
    second: {stage: two, script: [echo], needs: [first], rules: [{if: $A}]}
"""


def pipeline(text, folder):
    path = folder / "pipeline.yml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return read(path, root=folder)


def test_the_pipeline_has_no_mistake():
    found = read(ROOT / ".gitlab-ci.yml")
    assert findings(found) == []
    assert reserved(found) == set()


def test_the_main_file_is_short_and_has_a_file_for_each_stage():
    text = (ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 45
    for stage in read(ROOT / ".gitlab-ci.yml").stages:
        assert f"- local: /ci/{stage}.yml" in text


def test_every_job_says_what_it_needs_and_when_it_runs():
    for name, job in read(ROOT / ".gitlab-ci.yml").jobs.items():
        assert "needs" in job, f"{name} would wait for all stages before it"
        assert job.get("rules"), name
        assert "trigger" in job or job.get("timeout"), name


def test_every_job_leaves_what_it_found_out_also_when_it_fails():
    for name, job in read(ROOT / ".gitlab-ci.yml").jobs.items():
        if "trigger" not in job:
            assert job["artifacts"]["when"] == "always", name
            assert job["artifacts"]["expire_in"], name


def test_a_good_pipeline_has_no_mistake(tmp_path):
    assert findings(pipeline(GOOD, tmp_path)) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("stage: two", "stage: three"), "second: stage three does not exist"),
        (("needs: [first]", "needs: [frist]"), "second: needs frist, which does not exist"),
        (("stage: one,", "stage: one, needs: [second],"), "in a circle: first > second > first"),
        (("stage: one,", "stage: one, needs: [first],"), "in a circle: first > first"),
        (("stage: one, script: [echo]", "stage: one"), "first: has neither script nor trigger"),
        (("if: $A}]}", 'if: $A = "1"}]}'), "first: '$A = \"1\"': what is '= \"1\"'?"),
        (("if: $A}]}", "if: ($A}]}"), "first: '($A': not expected: a parenthesis that is not closed"),
        (("if: $A}]}", "if: $A && }]}"), "first: '$A &&': not expected: its end"),
        (("if: $A}]}", "if: '$A =~ /a(?=b)/'}]}"), "first: '/a(?=b)/' is no pattern of RE2"),
        (
            ("script: [echo], needs: [first]", "trigger: {include: [{artifact: a.yml, job: first}]}"),
            "second: includes what first leaves without needing it",
        ),
        (
            ("stage: two", "stage: two, environment: {name: e, on_stop: first}"),
            "second: on_stop: first does not stop e",
        ),
        (
            ("stage: two", "stage: two, artifacts: {paths: [a], expose_as: 'a, b'}"),
            "second: expose_as: 'a, b' may hold letters, digits, _, - and spaces only",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_found(change, finding, tmp_path):
    before, after = change
    assert before in GOOD
    assert finding in findings(pipeline(GOOD.replace(before, after), tmp_path))


@pytest.mark.parametrize(
    ("addition", "complaint"),
    [
        ("third: {extends: .absent, script: [echo]}", "extends .absent, which does not exist"),
        (".a: {extends: .b}\n    .b: {extends: .a}\n    third: {extends: .a}", "in a circle"),
        ("third: {script: [!reference [.absent, script]]}", "leads nowhere"),
        ("third: {script: [!reference [third, script]]}", "in a circle"),
        ("include: [{local: /absent.yml}]", "does not exist"),
    ],
)
def test_what_leads_nowhere_is_found(addition, complaint, tmp_path):
    with pytest.raises(BadPipelineError, match=complaint):
        pipeline(f"{GOOD}    {addition}\n", tmp_path)


def test_a_job_with_the_name_of_a_keyword_is_found(tmp_path):
    assert reserved(pipeline(f"{GOOD}    image: {{stage: one, script: [echo]}}\n", tmp_path)) == {"image"}


def test_a_need_that_the_event_does_not_have_is_found_unless_it_is_optional(tmp_path):
    absent = GOOD.replace("needs: [first], rules: [{if: $A}]", "needs: [first], rules: [{if: $B}]")
    assert findings(pipeline(absent, tmp_path)) == []
    with pytest.raises(BadPipelineError, match="second needs first, which this pipeline does not have"):
        plan(pipeline(absent, tmp_path), Event({"B": "1"}))
    optional = absent.replace("needs: [first]", "needs: [{job: first, optional: true}]")
    assert [str(job) for job in plan(pipeline(optional, tmp_path), Event({"B": "1"}))] == ["second"]


def test_every_path_to_production_passes_the_checks_the_verdict_and_the_acceptance():
    jobs = read(ROOT / ".gitlab-ci.yml").jobs
    before, todo = set(), ["promote"]
    while todo:
        before |= (new := set(needed(jobs[todo.pop()])) - before)
        todo += new
    assert before >= {"lint", "unit", "doctor", "train", "validate", "register", "build-image", "staging", "acceptance"}
