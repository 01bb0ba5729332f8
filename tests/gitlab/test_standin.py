"""The stand-in is as strict as GitLab: what it lets through here would be let through there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import httpx
import pytest

from gitlab import standin
from gitlab.standin import API, GUEST, JOB, MAINTAINER, READER, REPORTER, TRIGGER, Server

NOTES = "merge_requests/7/notes"


@pytest.fixture
def server() -> Iterator[Server]:
    with standin.running() as running:
        yield running


def call(server: Server, method: str, path: str, *, token: str = API, **more: object) -> httpx.Response:
    address = f"{server.root}{path}" if path.startswith("/") else f"{server.address}/{path}".rstrip("/")
    header = {"JOB-TOKEN" if token == JOB else "PRIVATE-TOKEN": token}
    return client().request(method, address, headers=header, **more)  # type: ignore[arg-type]


@cache
def client() -> httpx.Client:
    """One for all tests: to make it costs more than they do."""
    return httpx.Client()


@pytest.mark.parametrize(
    ("token", "read", "written"),
    [(API, 200, 201), (JOB, 200, 401), (READER, 200, 403), (REPORTER, 200, 201), ("glpat-unknown", 401, 401)],
)
def test_notes_are_written_by_whom_gitlab_lets(server: Server, token: str, read: int, written: int):
    assert call(server, "GET", NOTES, token=token).status_code == read
    assert call(server, "POST", NOTES, token=token, json={"body": "hello"}).status_code == written


def test_a_list_comes_in_pages_the_newest_note_first(server: Server):
    for number in range(25):
        call(server, "POST", NOTES, json={"body": f"note {number}"})
    first = call(server, "GET", NOTES)
    assert (len(first.json()), first.headers["X-Next-Page"], first.json()[0]["body"]) == (20, "2", "note 24")
    assert [one["body"] for one in call(server, "GET", f"{NOTES}?per_page=10&page=3").json()][-1] == "note 0"


def test_a_note_has_a_longest_length_and_executes_quick_actions(server: Server):
    assert call(server, "POST", NOTES, json={"body": "é" * 1_000_000}).status_code == 201
    answer = call(server, "POST", NOTES, json={"body": "é" * 1_000_001})
    assert answer.status_code == 400
    assert "1000000 characters" in answer.text
    call(server, "POST", NOTES, json={"body": "well\n/merge now\n```\n/close\n```"})
    assert server.state.commands == ["/merge now"]


def test_an_upload_can_be_fetched_again_byte_by_byte(server: Server):
    said = call(server, "POST", "uploads", files={"file": ("a b.svg", b"<svg>\r\n--x\x00", "image/svg+xml")}).json()
    assert said["markdown"] == f"![a_b]({said['url']})"
    assert call(server, "GET", said["url"].lstrip("/")).content == b"<svg>\r\n--x\x00"


def test_a_pipeline_on_a_protected_branch_takes_the_right_to_merge(server: Server):
    body = {"ref": "main", "variables": [{"key": "WATTLINE_RETRAIN", "value": "true"}]}
    made = call(server, "POST", "pipeline", json=body).json()
    assert (made["source"], made["status"]) == ("api", "created")
    assert call(server, "GET", f"pipelines/{made['id']}/variables").json()[0]["key"] == "WATTLINE_RETRAIN"
    assert call(server, "POST", "pipeline", token=READER, json=body).status_code == 403
    assert call(server, "POST", "pipeline", json={"ref": "absent"}).json()["message"]["base"] == ["Reference not found"]
    server.state.protected_branches = [standin.state.protection("main", merge=40)]
    assert "sufficient permission" in call(server, "POST", "pipeline", json=body).text
    server.state.project["ci_pipeline_variables_minimum_override_role"] = "no_one_allowed"
    assert "set pipeline variables" in call(server, "POST", "pipeline", token=MAINTAINER, json=body).text
    late = call(server, "GET", f"pipelines?ref=main&created_after={made['created_at']}").json()
    assert (late, len(call(server, "GET", "pipelines?source=api").json())) == ([], 1)


def test_a_trigger_needs_no_other_token(server: Server):
    form = {"token": TRIGGER, "ref": "main", "variables[WATTLINE_RETRAIN]": "true"}
    made = httpx.post(f"{server.address}/trigger/pipeline", data=form).json()
    assert made["source"] == "trigger"
    assert call(server, "GET", f"pipelines/{made['id']}/variables").json()[0]["value"] == "true"


def test_settings_are_seen_by_the_roles_that_gitlab_shows_them(server: Server):
    assert call(server, "GET", "").json()["default_branch"] == "main"
    assert call(server, "GET", "repository/branches/main").json()["developers_can_merge"]
    for path in ("variables", "runners", "protected_branches"):
        assert (call(server, "GET", path).status_code, call(server, "GET", path, token=MAINTAINER).status_code) == (
            403,
            200,
        )
    assert call(server, "GET", "protected_environments", token=MAINTAINER).status_code == 404
    assert call(server, "GET", "/personal_access_tokens/self", token=READER).json()["scopes"] == ["read_api"]
    assert call(server, "GET", "/user", token=GUEST).json()["username"] == "guest"
    assert (
        call(server, "GET", "/user", token=JOB).status_code,
        call(server, "GET", "/job", token=JOB).status_code,
    ) == (
        401,
        200,
    )


def test_packages_and_releases_take_the_token_of_a_job(server: Server):
    place = "packages/generic/wattline/1.0.0/model.tar"
    assert call(server, "PUT", place, token=JOB, content=b"archive").status_code == 201
    assert call(server, "GET", place, token=JOB).content == b"archive"
    link = {"name": "model", "url": f"{server.address}/{place}", "link_type": "package"}
    said = {"tag_name": "v1", "ref": "main", "assets": {"links": [link]}}
    assert call(server, "POST", "releases", token=JOB, json=said).status_code == 201
    assert call(server, "POST", "releases", token=JOB, json=said).status_code == 409


def test_as_a_program_it_shows_its_state_to_other_processes_and_ends_by_a_signal(tmp_path: Path):
    file = tmp_path / "state.json"
    file.write_text(json.dumps({"tokens": {"glpat-other": {"user": 9, "name": "other", "role": 30}}}))
    command = [sys.executable, "-m", "gitlab.standin", "--state", str(file)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        assert program.stdout is not None
        root = program.stdout.readline().strip()
        headers = {"PRIVATE-TOKEN": "glpat-other"}
        httpx.post(f"{root}/projects/42/{NOTES}", headers=headers, json={"body": "hello"}).raise_for_status()
        for _ in range(200):
            said = json.loads(file.read_text())
            if "notes" in said:
                break
            time.sleep(0.1)
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 0
    assert [one["body"] for one in said["notes"]] == ["hello"]
