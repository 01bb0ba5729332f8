"""docs/gitlab.md: its table of jobs is what runs, its table of variables is what there is, and both are complete."""

import re

import pytest

from gitlab.ci.configuration import ROOT, read
from gitlab.ci.golden import events
from gitlab.ci.rules import plan
from wattline.settings import Settings

PIPELINE = read(ROOT / ".gitlab-ci.yml")
PAGE = (ROOT / "docs" / "gitlab.md").read_text(encoding="utf-8")
COLUMNS = {
    "merge request": "merge request",
    "docs only": "merge request, docs only",
    "fork": "merge request from a fork",
    "default branch": "default branch",
    "retraining": "retraining",
    "web, other branch": "web, another branch",
    "tag": "tag of a version",
    "monitor": "schedule, monitor",
    "nightly": "schedule, nightly",
}
"""Column of the table -> event of events.yml."""
ELSEWHERE = {"child", "dvc-stages", "train-hpc", "unprotected"}
"""Jobs that come with a setting, and are told of in words."""


def rows(chapter):
    """Cells of the table in a chapter, its head first."""
    text = PAGE.split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [table[0], *table[2:]]


def variables():
    """Documented name -> its default as the page has it."""
    return {cells[0].strip("`"): cells[1] for cells in rows("Variables")[1:]}


def asked_for():
    """Variables that files of the pipeline use or set, without those that GitLab predefines."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / ".gitlab-ci.yml", *sorted((ROOT / "ci").iterdir()))]
    found = set(re.findall(r"\$\{?((?:WATTLINE|MLFLOW|VAULT)_\w+)", "\n".join(texts))) | set(PIPELINE.variables)
    made = {"WATTLINE_IMAGE", "WATTLINE_STAGING_URL"}  # by a job, for later ones
    return found - made


@pytest.mark.parametrize("column", COLUMNS)
def test_the_table_of_jobs_is_what_runs(column):
    head, *body = rows("What runs when")
    place = head.index(column)
    shown = {cells[0].strip("`"): cells[place] for cells in body}
    planned = {one.name: one for one in plan(PIPELINE, events()[COLUMNS[column]])}
    assert shown.pop("jobs") == str(len(planned))
    expected = {name: "by hand" if one.when == "manual" else "x" for name, one in planned.items()}
    assert {name: cell for name, cell in shown.items() if cell} == expected


def test_every_job_is_on_the_page():
    named = {cells[0].strip("`") for cells in rows("What runs when")[1:]} - {"jobs"}
    assert named == set(PIPELINE.jobs) - ELSEWHERE
    assert [name for name in ELSEWHERE if f"`{name}`" not in PAGE] == []


def test_every_variable_of_the_pipeline_is_on_the_page_and_every_one_on_the_page_exists():
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    others = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "STORAGE_DRIVER"}  # of DVC and buildah
    others |= {name for job in PIPELINE.jobs.values() for name in job.get("variables", {})}
    assert asked_for() - set(variables()) == set()
    assert set(variables()) - asked_for() - known - others == set()


def test_defaults_on_the_page_are_those_of_the_pipeline():
    told = variables()
    for name, value in PIPELINE.variables.items():
        if name != "WATTLINE_CI_IMAGE":
            assert told[name] == (f"`{value}`" if value else "none"), name
    image = PIPELINE.variables["WATTLINE_CI_IMAGE"]
    assert told["WATTLINE_CI_IMAGE"] == f"{image.split('@')[0]}, by digest"


def test_secrets_are_masked_or_files():
    secret = re.compile(r"(TOKEN|PASSWORD|PASSPHRASE|SECRET_ACCESS_KEY|API_KEY|SIGNING_KEY|LEDGER_URI)$")
    for name, _, scope, *_ in rows("Variables")[1:]:
        if secret.search(name.strip("`")):
            assert re.search("masked|file", scope), name


def test_the_page_fits_on_a_page():
    assert len(PAGE.splitlines()) < 250
