"""What runs when: the jobs of each event, as the committed list has them, and what no event may bring."""

import subprocess

import pytest

from gitlab.ci.configuration import ROOT, Pipeline, read
from gitlab.ci.expressions import names
from gitlab.ci.golden import events, text
from gitlab.ci.rules import matches, plan, started
from wattline.monitoring.retraining import LONGEST_REASON

PIPELINE = read(ROOT / ".gitlab-ci.yml")
EVENTS = events()
PROSE = ("docs/", "model_cards/", "reports/", "LICENSE")
"""What a merge request may touch without training: prose, and what jobs themselves commit."""

each_event = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())


def jobs(name, pipeline=PIPELINE):
    return {planned.name: planned for planned in plan(pipeline, EVENTS[name])}


def sharing():
    """Jobs that change what others see."""
    return {name for name, job in PIPELINE.jobs.items() if not job.get("interruptible", True) or "environment" in job}


def test_each_event_starts_the_jobs_of_the_committed_list():
    golden = (ROOT / "tests" / "gitlab" / "golden.txt").read_text(encoding="utf-8")
    assert text(PIPELINE) == golden, "python -m gitlab.ci.golden > tests/gitlab/golden.txt, and read what changed"


def test_a_branch_is_not_built_twice():
    both = ["merge request", "push to another branch with a merge request", "push to another branch"]
    assert [bool(jobs(name)) for name in both] == [True, False, False]


@pytest.mark.parametrize("name", [name for name in EVENTS if "fork" in name])
def test_a_fork_gets_no_secret_and_changes_nothing(name):
    secret = {job for job, content in PIPELINE.jobs.items() if "id_tokens" in content}
    assert secret >= {"train-hpc", "register", "promote", "release", "monitor"}
    assert jobs(name).keys() & (secret | sharing() | {"note", "lock"}) == set()


def test_a_fork_trains_on_the_runners_of_all_jobs_although_there_is_a_cluster():
    assert "train" in jobs("merge request from a fork, cluster")
    assert "train-hpc" in jobs("merge request, cluster")
    assert PIPELINE.jobs["train"]["tags"] == ["$WATTLINE_RUNNER_TAG"]
    assert PIPELINE.jobs["train-hpc"]["tags"] == ["$WATTLINE_HPC_TAG"]


@each_event
def test_models_are_registered_and_deployed_from_the_protected_default_branch_only(event):
    found = {planned.name for planned in plan(PIPELINE, event)} & {"register", "build-image", "staging", "promote"}
    default = event.variables.get("CI_COMMIT_BRANCH") == "main"
    if found:
        assert default
        assert event.variables["CI_COMMIT_REF_PROTECTED"] == "true"


def test_an_unprotected_branch_says_why_nothing_is_registered():
    said = jobs("default branch, unprotected")["unprotected"]
    assert said.may_fail
    assert "unprotected" not in jobs("default branch")
    assert "unprotected" in jobs("tag of a version, unprotected")
    assert "release" not in jobs("tag of a version, unprotected")


@each_event
def test_doctor_is_in_every_pipeline(event):
    if started(PIPELINE, event) is not None:
        assert "doctor" in {planned.name for planned in plan(PIPELINE, event)}


def test_a_pipelines_name_fits_whatever_the_branch_is_called():
    """GitLab makes no pipeline whose name has more than 255 characters."""
    kinds = [rule["variables"]["PIPELINE_KIND"] for rule in PIPELINE.workflow["rules"] if "variables" in rule]
    longest = {
        "$PIPELINE_KIND": max(len(kind) for kind in kinds),
        "$CI_COMMIT_REF_SLUG": 63,
        "$WATTLINE_RETRAIN_REASON": LONGEST_REASON,
    }
    assert sum(longest[word] + 1 for word in PIPELINE.workflow["name"].split()) - 1 <= 255


def test_a_person_promotes_and_a_failed_promotion_is_red():
    promote = jobs("default branch")["promote"]
    assert (promote.when, promote.may_fail) == ("manual", False)


def test_what_changes_shared_state_waits_for_its_turn_and_is_neither_cancelled_nor_repeated():
    assert sharing() >= {
        "lock",
        "register",
        "build-image",
        "staging",
        "promote",
        "rollback",
        "release",
        "pages",
        "nightly",
    }
    for name in sharing():
        job = PIPELINE.jobs[name]
        assert (job["interruptible"], job["retry"]) == (False, 0), name
        assert job["resource_group"], name


def test_only_what_the_runner_did_is_tried_again():
    reasons = {reason for job in PIPELINE.jobs.values() for reason in (job.get("retry") or {}).get("when", [])}
    assert reasons == {"runner_system_failure", "stuck_or_timeout_failure", "scheduler_failure"}


def test_every_tracked_file_is_prose_or_starts_the_jobs_of_code():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    code = [glob for rule in PIPELINE.jobs["unit"]["rules"] for glob in rule.get("changes", [])]
    tracked = [path for path in listed.stdout.splitlines() if not path.startswith(PROSE) and not path.endswith(".md")]
    assert tracked
    assert [path for path in tracked if not any(matches(glob, path) for glob in code)] == []
    assert not [path for path in ("docs/task.md", "README.md") if any(matches(glob, path) for glob in code)]


def test_what_a_stage_depends_on_trains_when_it_changes():
    model = [glob for rule in PIPELINE.jobs["train"]["rules"] for glob in rule.get("changes", [])]
    for path in ("src/project/task.py", "params.yaml", "dvc.yaml", "dvc.lock", "data/checksums.json", "ci/train.yml"):
        assert any(matches(glob, path) for glob in model), path
    assert not any(matches(glob, "tests/unit/test_grid.py") for glob in model)


def test_rules_speak_only_of_variables_that_exist():
    predefined = {name for event in EVENTS.values() for name in event.variables} | {"PIPELINE_KIND"}
    rules = [rule for job in PIPELINE.jobs.values() for rule in job["rules"]] + PIPELINE.workflow["rules"]
    assert {name for rule in rules if "if" in rule for name in names(rule["if"])} <= predefined | set(
        PIPELINE.variables
    )


def test_every_event_whose_needs_are_met_stays_so_without_a_stage():
    """A component is included alone: its jobs may need only each other, or what is optional."""
    for stage in ("check", "data_prep", "train"):
        kept = {name: job for name, job in PIPELINE.jobs.items() if job["stage"] != stage}
        without = Pipeline(kept, PIPELINE.stages, PIPELINE.workflow, PIPELINE.variables, PIPELINE.raw)
        for event in EVENTS.values():
            plan(without, event)
