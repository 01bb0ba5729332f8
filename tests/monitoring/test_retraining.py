"""One retraining for each cool-down, proven from GitLab, whatever fails on the way there."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from gitlab import standin
from gitlab.standin import API, GUEST, MAINTAINER, READER, Fault, Server
from pydantic import SecretStr

from wattline.errors import InputError, WattlineError
from wattline.gitlab import project as connection
from wattline.gitlab.project import Project
from wattline.monitoring import history, retraining
from wattline.monitoring.records import Decision, Look, Retraining

ASKED = Decision(retrain=True, by=("inputs",), reason="2 looks in a row: inputs\n$(rm -rf /) `x` ünïcode")
MAIN = "main"


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BACKOFF_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    with standin.running() as running:
        yield running
        assert running.state.unmounted == []


def opened(
    server: Server, *, token: str = API, decision: Decision = ASKED, hours: float = 72, **more: bool
) -> Retraining:
    with Project(server.address, SecretStr(token)) as project:
        options = {"dry_run": False} | more
        return retraining.open_one(
            project, decision, ref=MAIN, now=datetime.now(UTC), cool_down_hours=hours, dry_run=options["dry_run"]
        )


def living(server: Server) -> list[int]:
    return [one["id"] for one in server.state.pipelines if one["status"] != "canceled"]


def pipeline(server: Server, number: int, *, hours_ago: float = 1, user: int = 101, **fields: object) -> None:
    """A pipeline that is there already."""
    at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    server.state.pipelines.append(
        {
            "id": number, "ref": MAIN, "source": "api", "status": "success", "created_at": at, "updated_at": at,
            "username": "wattline", "user": {"id": user}, "web_url": f"https://gitlab.example.org/{number}",
        } | fields
    )  # fmt: skip


def test_a_pipeline_is_opened_on_the_default_branch_with_a_reason_that_is_plain_text(server):
    found = opened(server)
    assert (found.outcome, found.pipeline, found.url) == (
        "opened",
        501,
        "https://gitlab.example.org/energy/models/-/pipelines/501",
    )
    variables = {one["key"]: one["value"] for one in server.state.pipeline_variables["501"]}
    assert variables == {
        "WATTLINE_RETRAIN": "true",
        "WATTLINE_RETRAIN_REASON": "2 looks in a row: inputs (rm -rf /) x n code",
    }
    assert server.state.pipelines[0]["ref"] == MAIN
    assert len(retraining.plain("x" * 10_000)) == retraining.LONGEST_REASON


def test_a_second_look_opens_none_until_the_cool_down_is_over(server):
    assert opened(server).outcome == "opened"
    second = opened(server)
    assert (second.outcome, second.pipeline) == ("cooling down", 501)
    server.state.pipelines[0]["status"] = "failed"
    assert opened(server).outcome == "cooling down"
    server.state.pipelines[0]["created_at"] = "2026-01-01T00:00:00.000Z"
    assert opened(server).pipeline == 502


def test_neither_a_quiet_look_nor_a_dry_run_writes_anything(server):
    assert opened(server, decision=Decision(retrain=False, reason="no alarm")).outcome == "not asked for"
    assert server.state.calls == []
    assert opened(server, dry_run=True).outcome == "would be opened"
    assert server.state.writes == []


@pytest.mark.parametrize(
    ("fields", "variables", "outcome"),
    [
        ({"name": "retrain: drift"}, [], "cooling down"),
        ({"name": "nightly of somebody"}, [], "opened"),
        ({}, [{"key": "WATTLINE_RETRAIN", "value": "true"}], "cooling down"),
        ({}, [{"key": "DEPLOY", "value": "true"}], "opened"),
        ({"user": 7}, [], "cooling down"),  # its variables are shown to nobody but who started it
        ({"hours_ago": 100, "updated_at": "2099-01-01T00:00:00Z", "name": "retrain"}, [], "opened"),
        ({"ref": "topic", "name": "retrain"}, [], "opened"),
        ({"source": "push", "name": "retrain"}, [], "opened"),
    ],
)
def test_what_counts_as_a_retraining(server, fields, variables, outcome):
    pipeline(server, 400, **fields)
    server.state.pipeline_variables["400"] = variables
    assert opened(server).outcome == outcome


def test_it_is_found_on_whatever_page(server):
    pipeline(server, 300, hours_ago=50, name="retrain")
    for number in range(301, 451):
        pipeline(server, number, name="of another tool")
    assert opened(server).pipeline == 300


@pytest.mark.parametrize(
    "fault", [Fault("pipeline$", None, late=True, method="POST"), Fault("pipeline$", 502, late=True, method="POST")]
)
def test_an_answer_that_is_lost_opens_no_second_one(server, fault):
    server.state.faults = [fault]
    found = opened(server)
    assert (found.outcome, found.pipeline) == ("opened", 501)
    assert living(server) == [501]


def test_a_gitlab_that_does_not_work_for_a_while_is_tried_again_and_one_that_never_does_is_an_error(server):
    server.state.faults = [Fault("pipelines", 500, times=3), Fault("pipeline$", 503, times=2)]
    assert opened(server).outcome == "opened"
    server.state.faults = [Fault("pipelines", 500, times=99)]
    with pytest.raises(WattlineError, match="did not do its work: status 500"):
        opened(server)


@pytest.mark.parametrize(
    ("token", "message"),
    [("glpat-unknown", "did not accept the token"), (READER, "forbids this to the token"), (GUEST, "forbids this")],
)
def test_a_token_that_may_not_do_it_is_said(server, token, message):
    with pytest.raises(InputError, match=message):
        opened(server, token=token)
    assert server.state.pipelines == []


def test_a_project_that_lets_nobody_set_variables_is_told_which_setting_to_change(server):
    server.state.project["ci_pipeline_variables_minimum_override_role"] = "no_one_allowed"
    with pytest.raises(InputError, match="Minimum role to use pipeline variables to Developer"):
        opened(server)


def test_a_protected_branch_that_the_token_may_not_merge_into_is_named(server):
    server.state.protected_branches[0]["merge_access_levels"][0]["access_level"] = 40
    with pytest.raises(InputError, match="run a pipeline on main; whoever may merge"):
        opened(server)
    assert opened(server, token=MAINTAINER).outcome == "opened"


def test_of_two_looks_at_once_one_pipeline_stays(server, monkeypatch):
    both_saw_none, look_first = threading.Barrier(2), retraining.found
    results: list[Retraining] = []

    def found(project: Project, *, ref: str, since: datetime) -> list[retraining.Opened]:
        seen = look_first(project, ref=ref, since=since)
        if not seen:
            both_saw_none.wait(60)
        return seen

    monkeypatch.setattr(retraining, "found", found)
    threads = [threading.Thread(target=lambda: results.append(opened(server))) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(120)
    assert [one.pipeline for one in results] == [501, 501]
    assert living(server) == [501]


def test_the_state_of_the_last_look_is_that_of_the_newest_job_that_left_one(server, look: Look):
    for number, minutes in ((600, 3), (601, 2), (602, 1), (603, 0)):
        pipeline(server, number, hours_ago=minutes, source="schedule")
        server.state.jobs.append(
            {
                "id": number + 1000,
                "name": "nightly" if number == 602 else "monitor",
                "pipeline": {"id": number},
                "status": "success",
            }
        )
    server.state.artifacts["1600/reports/monitor.json"] = look.to_json().encode()
    with Project(server.address, SecretStr(API)) as project:
        assert history.of_project(project, ref=MAIN, own_pipeline="603") == (look.state, "job 1600 of pipeline 600")
        server.state.artifacts["1601/reports/monitor.json"] = b'{"of": "another release"}'
        assert history.of_project(project, ref=MAIN, own_pipeline="603") == (look.state, "job 1600 of pipeline 600")
        server.state.artifacts["1603/reports/monitor.json"] = (
            look.model_copy(update={"version": "9"}).to_json().encode()
        )
        assert history.of_project(project, ref=MAIN, own_pipeline="603") == (look.state, "job 1600 of pipeline 600")
        assert history.of_project(project, ref="topic", own_pipeline=None) is None
        server.state.faults = [Fault("artifacts", 500, times=99)]
        with pytest.raises(WattlineError, match="did not do its work"):
            history.of_project(project, ref=MAIN, own_pipeline="603")
