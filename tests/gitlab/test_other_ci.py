"""GitHub Actions and Jenkins: they do what GitLab's jobs do, through the same make targets."""

import re
import subprocess

import pytest
import yaml

from gitlab.ci.configuration import ROOT, read
from gitlab.ci.scripts import commands, lines, script, targets

PIPELINE = read(ROOT / ".gitlab-ci.yml")
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
ACTIONS = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
JENKINSFILE = (ROOT / "Jenkinsfile").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DONE_ELSEWHERE = {"check", "unit", "judge", "staging", "promote", "archive", "monitor", "nightly"}
SAME = {
    "judge": ["validate"],
    "staging": ["register", "build-image", "staging", "acceptance"],
    "promote": ["promote"],
    "monitor": ["monitor"],
    "nightly": ["nightly"],
}
"""Make target -> the jobs of GitLab that it stands for."""


def steps():
    return [step for job in ACTIONS["jobs"].values() for step in job["steps"]]


def recipe(target):
    return re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, flags=re.MULTILINE)[1]


def wattline(text):
    """Verbs of wattline that a text types, without what they are given."""
    return set(re.findall(r"wattline ((?:ci )?[a-z]+)", text))


def test_both_call_every_target_and_no_other():
    """A matrix, a parameter or an expression names some of them."""
    actions = {word for step in steps() for word in re.findall(r"[a-z]+", step.get("run", "")) if "make" in step["run"]}
    actions |= set(ACTIONS["jobs"]["quick"]["strategy"]["matrix"]["target"])
    jenkins = set(re.findall(r"[a-z]+", " ".join(re.findall(r"(?:sh '|values|choices:)(.*)", JENKINSFILE))))
    assert actions & targets() == DONE_ELSEWHERE
    assert jenkins & (targets() - {"setup"}) == DONE_ELSEWHERE
    assert targets() >= DONE_ELSEWHERE


def test_a_target_does_what_gitlabs_jobs_do():
    for target, jobs in SAME.items():
        script_of_jobs = "\n".join(line for job in jobs for line in lines({"script": PIPELINE.jobs[job]["script"]}))
        assert wattline(script_of_jobs) <= wattline(recipe(target)), target
    typed = {tuple(words) for name, words in commands(PIPELINE) if name in ("lint", "unit") and words[0] == "make"}
    assert {words[1] for words in typed} == {"check", "unit"}


def test_the_schema_of_github_accepts_the_workflow():
    command = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_actions_are_few_and_pinned_by_commit():
    used = {step["uses"] for step in steps() if "uses" in step}
    assert {name.split("@")[0] for name in used} == {"actions/checkout"}
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in used)
    images = {job["container"] for job in ACTIONS["jobs"].values() if "container" in job}
    assert images == {PIPELINE.variables["WATTLINE_CI_IMAGE"]}


def test_needs_lead_to_jobs_and_every_job_has_an_end():
    for name, job in ACTIONS["jobs"].items():
        needs = job.get("needs", [])
        assert {needs} if isinstance(needs, str) else set(needs) <= set(ACTIONS["jobs"]), name
        assert job["timeout-minutes"], name


def test_what_a_pull_request_runs_sees_no_signing_key_and_may_only_read():
    assert ACTIONS["permissions"] == {"contents": "read"}
    for name, job in ACTIONS["jobs"].items():
        if "SIGNING_KEY" in str(job):
            assert job.get("environment") in ("staging", "production", "monitor"), name
    assert "SIGNING_KEY" not in str(ACTIONS["env"]) + str(ACTIONS["jobs"]["quick"])


def test_nobody_promotes_on_github_until_reviewers_are_said_to_be_there():
    """An environment that was never set up asks nobody."""
    assert ACTIONS["jobs"]["promote"]["if"] == "vars.WATTLINE_REVIEWED == 'true'"
    assert "WATTLINE_REVIEWED" in (ROOT / "docs" / "gitlab.md").read_text(encoding="utf-8")


def test_what_nobody_starts_asks_nobody():
    assert ACTIONS["jobs"]["watch"]["environment"] != ACTIONS["jobs"]["promote"]["environment"]


def test_a_build_of_jenkins_that_waits_for_a_person_holds_up_no_other():
    """Options of a stage are entered before its input."""
    assert re.findall(r"lock\('[a-z-]+'\) \{", JENKINSFILE) == re.findall(r"lock\(.*", JENKINSFILE) != []
    assert "disableConcurrentBuilds" not in JENKINSFILE


def test_jenkins_hands_on_nothing_that_it_does_not_know_yet():
    """There is no checkout where the pipeline's variables are made: it would be the word null."""
    before = JENKINSFILE.partition("stages {")[0]
    assert "GIT_COMMIT" not in before
    assert "agent none" in before


def test_shellcheck_has_nothing_to_say_of_either(tmp_path):
    typed = [re.sub(r"\$\{\{.*?\}\}", "word", step["run"]) for step in steps() if "run" in step]
    typed += re.findall(r"^\s*sh '(.*)'$", JENKINSFILE, flags=re.MULTILINE)
    (tmp_path / "steps.sh").write_text(script({"script": typed}), encoding="utf-8")
    options = ["--exclude=SC2154"]  # variables of the job
    done = subprocess.run(["shellcheck", *options, tmp_path / "steps.sh"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_jenkinsfile_is_a_declarative_pipeline():
    """There is no Jenkins here to ask: brackets close, each block stands where Jenkins lets it stand."""
    found = blocks(JENKINSFILE)
    assert found[0] == ("pipeline",)
    assert all("stage" in path for path in found if path[-1] == "steps")
    sections = {path[1] for path in found if len(path) == 2}
    assert sections <= {"options", "triggers", "parameters", "environment", "stages", "agent", "post", "tools"}
    stages = [path for path in found if path[-1] == "stage"]
    assert len(stages) == 6
    assert all(path[-2] == "stages" for path in stages)


def test_an_unclosed_bracket_in_a_jenkinsfile_is_found():
    assert blocks("pipeline { stages { } }") == [("pipeline",), ("pipeline", "stages")]
    for broken in ("pipeline {", "pipeline { sh('a' }", "pipeline { sh 'a }"):
        with pytest.raises(AssertionError):
            blocks(broken)


def blocks(text):
    """Path of every block in braces, outermost name first. Fails where a bracket or a string does not close."""
    found, open_brackets, path = [], [], []
    code = re.sub(r"//.*", "", text)
    token = re.compile(
        r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|(\w+)\s*(?:\((?:[^()]|\([^()]*\))*\))?\s*\{|[(){}\[\]'\"]"
    )
    for match in token.finditer(code):
        text_found = match[0]
        assert text_found not in ("'", '"'), f"a string does not end: {code[match.start() : match.start() + 30]}"
        if match[1] or text_found == "{":
            path.append(match[1] or "")
            found.append(tuple(path))
            open_brackets.append("{")
        elif text_found in "([":
            open_brackets.append(text_found)
        elif text_found in ")]}":
            assert open_brackets, f"nothing is open for {text_found}"
            assert open_brackets.pop() + text_found in ("()", "[]", "{}")
            if text_found == "}":
                path.pop()
    assert not open_brackets, f"{open_brackets} do not close"
    return found
