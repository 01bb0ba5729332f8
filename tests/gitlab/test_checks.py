"""Each check of the doctor is pure, and each can say no: what is wrong, where it is set, whether jobs need it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitlab.doctor_cases import CASES, FACTS, NOW, SECRET, VARIABLES, Case
from gitlab.jobs import BRANCH, FORK, MERGE_REQUEST, MONITOR, Job
from gitlab.vault import id_token
from wattline.errors import InputError
from wattline.gitlab.asking import Answer
from wattline.gitlab.doctor import diagnose
from wattline.gitlab.doctor.checks import CHECKS
from wattline.gitlab.doctor.facts import Facts, Keys, Outcome, Place
from wattline.gitlab.doctor.finding import PROBLEMS, Finding, Report
from wattline.gitlab.doctor.needs import KINDS, NEEDS, kind_of
from wattline.gitlab.project import access

Good = Callable[..., Facts]


@pytest.fixture
def good(job: Job) -> Good:
    """Facts of a pipeline that lacks nothing. Variables by their names are changed, fields of Facts by theirs."""

    def facts(kind: dict[str, str] = BRANCH, **changed: Any) -> Facts:
        variables = {name: changed.pop(name) for name in list(changed) if name.isupper()}
        known = job(kind | VARIABLES | {"VAULT_ID_TOKEN": id_token(exp=NOW.timestamp() + 60, nbf=0)} | variables)
        return Facts(known=known, kind=kind_of(known), now=NOW, **(FACTS | changed))

    return facts


def of(facts: Facts, subject: str) -> list[Finding]:
    return [one for one in diagnose(facts).findings if one.subject == subject]


def facts_of(good: Good, case: Case) -> Facts:
    changed = {"kind": BRANCH, "now": NOW} | case[1]
    now = changed.pop("now")
    return replace(good(**changed), now=now)


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{case[3][:24]}" for case in CASES])
def test_a_check_says_what_it_found_and_what_to_do(good: Good, case: Case):
    subject, _, state, said = case
    facts = facts_of(good, case)
    found = [one for one in of(facts, subject) if one.state == state and said in f"{one.said}; {one.remedy}"]
    assert found, of(facts, subject)
    assert state in ("ok", "unknown") or found[0].remedy or "set WATTLINE" in found[0].said


def test_every_check_has_a_case_in_which_it_says_no(good: Good):
    silent = {one.subject for one in diagnose(good()).findings} | {"secrets in a fork's merge request"}
    refused = {subject for subject, _, state, _ in CASES if state in PROBLEMS}
    assert silent - refused == {"how secrets are set"}, "that one can only say that it cannot see"
    assert len(CHECKS) >= len(silent)


def test_a_pipeline_that_lacks_nothing_goes_on(good: Good):
    for kind in (BRANCH, MERGE_REQUEST):
        report = diagnose(good(kind))
        assert [one for one in report.findings if one.state != "ok"] == []
        assert report.exit_code == 0


@pytest.mark.parametrize(
    ("kind", "lacks", "blocked"),
    [
        (MONITOR, {"WATTLINE_GITLAB_TOKEN": ""}, True),
        (MERGE_REQUEST, {"WATTLINE_GITLAB_TOKEN": ""}, False),
        (BRANCH, {"WATTLINE_GITLAB_TOKEN": ""}, False),
        (FORK, {}, True),  # it has been given secrets
        (MERGE_REQUEST, {"MLFLOW_TRACKING_URI": ""}, False),
        (BRANCH, {"MLFLOW_TRACKING_URI": ""}, True),
        (MERGE_REQUEST, {"tracking": Answer(trouble="refused")}, True),
        (MERGE_REQUEST, {"WATTLINE_SIGNING_KEY": "", "keys": Keys()}, False),
        (BRANCH, {"registry": Outcome("write", code="403")}, True),
        (MERGE_REQUEST, {"registry": Outcome("write", code="403")}, False),
        (MERGE_REQUEST, {"remote": Outcome("write", code="AccessDenied")}, True),
        (MERGE_REQUEST, {"runners": {"WATTLINE_HPC_TAG": Answer(200, [])}}, True),
        (MERGE_REQUEST, {"runners": {"WATTLINE_DEPLOY_TAG": Answer(200, [])}}, False),
        (BRANCH, {"place": Place(shallow=True)}, True),
    ],
)
def test_jobs_are_held_up_only_by_what_they_need(good: Good, kind, lacks, blocked):
    assert (diagnose(good(kind, **lacks)).exit_code == 2) is blocked


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, "none"),
        (MERGE_REQUEST, "merge-request"),
        (FORK, "fork"),
        (BRANCH, "branch"),
        (BRANCH | {"PIPELINE_KIND": "retrain"}, "branch"),
        (BRANCH | {"PIPELINE_KIND": "web"}, "branch"),
        (BRANCH | {"PIPELINE_KIND": "web", "CI_COMMIT_BRANCH": "topic"}, "trial"),
        (BRANCH | {"CI_COMMIT_REF_PROTECTED": "false"}, "trial"),
        (BRANCH | {"PIPELINE_KIND": "", "CI_PIPELINE_SOURCE": "schedule"}, "monitor"),
        (MONITOR | {"WATTLINE_SCHEDULE": "nightly"}, "nightly"),
        ({"CI": "true", "CI_COMMIT_TAG": "v1.0.0"}, "release"),
        (MERGE_REQUEST | {"PIPELINE_KIND": ""}, "merge-request"),
    ],
)
def test_a_pipeline_is_known_by_its_variables(job: Job, variables, kind):
    assert kind_of(job(variables)) == kind
    assert set(NEEDS) == set(KINDS)


def test_a_schedule_that_would_do_nothing_is_red(job: Job):
    with pytest.raises(InputError, match="WATTLINE_SCHEDULE is 'weekly', so nothing but this job runs; set it to mon"):
        kind_of(job(MONITOR | {"WATTLINE_SCHEDULE": "weekly"}))


def test_a_new_fork_without_any_variable_trains_and_judges_a_merge_request(job: Job):
    facts = Facts(known=job(MERGE_REQUEST), kind="merge-request", now=NOW, place=Place(shallow=False))
    report = diagnose(facts)
    assert report.exit_code == 0, report.lines()
    lacking = {one.subject for one in report.findings if one.state in PROBLEMS and one.remedy}
    assert lacking >= {"WATTLINE_GITLAB_TOKEN", "MLFLOW_TRACKING_URI", "WATTLINE_DVC_REMOTE"}
    with pytest.raises(InputError, match=r"WATTLINE_GITLAB_TOKEN.* not set.* Settings > Access tokens, of scope `api`"):
        access(facts.known)


def test_a_report_is_lines_for_people_and_json_for_machines(good: Good):
    report = diagnose(good(MONITOR, WATTLINE_GITLAB_TOKEN="", CI_PAGES_URL=""))
    lines = report.lines()
    assert lines[0] == "doctor: monitor pipeline"
    assert any(line.startswith("  MISSING  WATTLINE_GITLAB_TOKEN: is not set") for line in lines)
    assert any(line.startswith("  wrong    Pages: CI_PAGES_URL is not set") for line in lines), (
        "a warning is not shouted"
    )
    assert lines[-1].endswith("correct WATTLINE_GITLAB_TOKEN: no later job starts, nothing is promoted")
    assert len(lines) == len(report.findings) + len({one.group for one in report.findings}) + 2
    assert Report.from_json(report.to_json()) == report


def test_nothing_that_is_told_holds_a_secret(good: Good):
    for case in CASES:
        report = diagnose(facts_of(good, case))
        assert SECRET not in "\n".join(report.lines()) + report.to_json()


def test_a_secret_that_a_check_repeats_by_mistake_is_not_told(good: Good):
    facts = good(params_trouble=f"params.yaml: task.name is {SECRET!r}")
    assert of(facts, "params.yaml")[0].said.startswith("what was found holds ")
    assert SECRET not in diagnose(facts).to_json()


def test_a_laptop_hears_what_cannot_be_known_there(job: Job, tmp_path: Path):
    facts = Facts(known=job(), kind="none", now=NOW, keys=Keys(trusted_trouble="x"), place=Place())
    report = diagnose(facts)
    assert report.exit_code == 0
    assert {"CI_API_V4_URL", "CI_JOB_TOKEN", "container registry", "Pages", "clock"} <= {
        one.subject for one in report.findings if one.state == "unknown"
    }


def test_a_fork_needs_no_secret(job: Job):
    facts = Facts(known=job(FORK), kind="fork", now=NOW, keys=Keys(), place=Place(shallow=False))
    report = diagnose(facts)
    assert report.exit_code == 0
    assert {one.said for one in report.findings if one.subject == "secrets in a fork's merge request"} == {
        "none is given"
    }


def test_a_fork_that_runs_in_the_fork_has_variables_of_its_own(good: Good):
    facts = good(FORK, CI_PROJECT_PATH="stranger/models")
    assert of(facts, "secrets in a fork's merge request") == []
