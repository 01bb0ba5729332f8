"""A merge request from a fork is given no secret; what needs one refuses with a sentence before it does anything."""

import sys
from pathlib import Path

import pytest

from gitlab.jobs import BRANCH, FORK, MERGE_REQUEST, Job
from wattline import cli
from wattline.errors import InputError
from wattline.gitlab import fork

ROOT = Path(__file__).resolve().parents[2]
NEED_A_SECRET = (
    ("register",), ("sign",), ("approve",), ("promote",), ("rollback",), ("recover",), ("mirror",), ("export",),
    ("import", "archive.tar"), ("deploy", "staging"), ("ci", "login"), ("ci", "image"), ("ci", "promote", "one"),
    ("ci", "rollback"), ("ci", "recover"), ("ci", "lock"), ("ci", "release"),
)  # fmt: skip


@pytest.mark.parametrize("arguments", NEED_A_SECRET, ids=" ".join)
def test_what_needs_a_secret_refuses_in_a_fork(job: Job, monkeypatch, tmp_path, capsys, arguments):
    job(FORK, WATTLINE_VAULT_ROLE="wattline")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["wattline", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    verb = " ".join(arguments[: 2 if arguments[0] == "ci" else 1])
    refusal = f"wattline: `wattline {verb}` needs a secret, and the merge request of stranger/models comes from a fork"
    assert said.err == f"{refusal}, which is given none; it runs once the change is on a branch of energy/models\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variables", [{}, BRANCH, MERGE_REQUEST])
def test_elsewhere_nothing_is_refused(job: Job, variables):
    assert not job(variables).from_fork
    fork.refuse("register")


@pytest.mark.parametrize(
    ("source", "target", "outside"),
    [
        ("stranger/models", "energy/models", True),
        ("energy/models", "energy/models", False),
        ("energy/models-2", "energy/models", True),
        ("stranger/models", "", True),  # what is not known does not make a stranger one of us
        ("", "energy/models", False),
    ],
)
def test_a_fork_is_another_project_than_the_target(job: Job, source, target, outside):
    known = job(
        MERGE_REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": source, "CI_MERGE_REQUEST_PROJECT_PATH": target}
    )
    assert known.from_fork is outside
    if outside:
        with pytest.raises(InputError, match="comes from a fork"):
            fork.refuse("register")
