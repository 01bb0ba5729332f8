"""A merge request has one note, which says what the pipeline found out, and nothing that it did not."""

import json
import sys
from pathlib import Path

import pytest

from gitlab.note.conftest import PIPELINE, MergeRequest
from gitlab.standin import GUEST, JOB, READER, Fault
from gitlab.standin.merge_requests import added
from gitlab.standin.pipelines import job
from gitlab.standin.tokens import Token
from wattline import cli
from wattline.errors import InputError
from wattline.gitlab import project
from wattline.records import Champion
from wattline.settings import settings

NOTES = "merge_requests/7/notes"


def lines(body: str) -> list[str]:
    return [line for line in body.splitlines() if line]


class TestTheAnswer:
    def test_is_in_the_first_two_lines(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        assert merge_request.write() == "note 301 of merge request 7 written"
        title, figures = lines(merge_request.body)[:2]
        assert title == "## \u2705 Accepted: `mean-abs` passes 4 of 4 gates"
        assert "0.53 [0.4, 0.6]" in figures
        assert "12 J [10.8, 13.2]** per 1,000 predictions, estimated" in figures

    def test_names_the_gate_that_said_no_and_why(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge(failed=("quality", "energy"))
        merge_request.write()
        expected = "## \u274c Rejected by `quality` and 1 more: the quality is what it is"
        assert lines(merge_request.body)[0] == expected
        row = next(line for line in lines(merge_request.body) if line.startswith("| quality"))
        assert row == "| quality | \u274c FAIL | 0.5 | 0.4 | 1 | the quality is what it is |"

    def test_is_no_decision_where_a_job_failed_though_the_commit_holds_an_older_one(self, merge_request: MergeRequest):
        merge_request.pipeline(train="failed", validate="skipped")
        assert (merge_request.folder / "reports" / "decide.json").exists()
        merge_request.write()
        assert lines(merge_request.body)[0] == "## \u26a0\ufe0f Not judged: job `train` failed"
        assert "Left over from an earlier run, so not shown: `reports/ingest.json`" in merge_request.body
        assert "PASS" not in merge_request.body
        assert "/-/jobs/9001" in merge_request.body

    def test_is_no_decision_where_no_job_made_a_candidate_of_a_change_that_needs_one(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.server.state.jobs.clear()
        merge_request.write()
        assert "Not judged: no job of this pipeline made a candidate" in lines(merge_request.body)[0]

    def test_is_no_decision_where_gitlab_does_not_tell_how_the_jobs_ended(self, merge_request: MergeRequest):
        merge_request.write()
        assert "Not judged: GitLab does not tell how the jobs ended" in lines(merge_request.body)[0]
        merge_request.judge(failed=("quality",))  # what is not the commit's was made here
        merge_request.write()
        assert "Rejected by `quality`" in lines(merge_request.body)[0]

    def test_stands_where_another_job_failed_and_names_it(self, merge_request: MergeRequest):
        merge_request.pipeline(validate="failed")
        merge_request.judge()
        merge_request.write()
        assert lines(merge_request.body)[0].startswith("## \u2705 Accepted")
        assert "**Failed in this pipeline:** `validate`" in lines(merge_request.body)[1]

    def test_is_no_decision_where_reports_are_of_two_candidates(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        said = json.loads((merge_request.folder / "reports" / "measure.json").read_text())
        said["candidate"]["digest"] = "f" * 64
        (merge_request.folder / "reports" / "measure.json").write_text(json.dumps(said))
        merge_request.write()
        assert "Not judged: `reports/measure.json` and the decision are about" in lines(merge_request.body)[0]

    def test_of_a_change_of_prose_is_that_no_input_changed(self, merge_request: MergeRequest):
        merge_request.git("reset", "-q", "--hard", "main")
        merge_request.commit("docs/a.md", "prose\n")
        merge_request.pipeline()
        merge_request.server.state.jobs.clear()
        merge_request.write()
        title, sentence = lines(merge_request.body)[:2]
        assert title == "## \u2796 Nothing to judge: no stage's inputs changed"
        assert "1 file changed, none of them an input" in sentence
        assert "**accepted**" in sentence


class TestComparisons:
    def test_with_the_champion_have_a_direction_and_an_interval(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge(champion=Champion(version="3", digest="d" * 64))
        path = merge_request.folder / "reports" / "evaluate.json"
        said = json.loads(path.read_text())
        said["versus_champion"] = {"vus_pr": {"value": 0.03, "low": 0.01, "high": 0.05, "units": 3}}
        path.write_text(json.dumps(said))
        merge_request.write()
        assert "| +0.03 [+0.01, +0.05] | better |" in merge_request.body
        assert "+0.03 to champion version `3` (better)" in lines(merge_request.body)[1]

    def test_with_no_champion_say_so(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.write()
        assert "Compared with nothing: no version was promoted yet." in merge_request.body
        assert "the best is `random` with `vus_pr` 0.07" in merge_request.body

    def test_with_the_target_branch_are_with_where_the_change_left_it(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.git("update-ref", "refs/remotes/origin/main", "main")
        merge_request.write()
        commit = merge_request.git("rev-parse", "main")[:8]
        assert f"| Figure | This change | At `{commit}` |" in merge_request.body
        assert "| 0.53 [0.4, 0.6] | 0.53 [0.4, 0.6] | +0 (+0.0%) | the same |" in merge_request.body
        assert "Inputs changed of `ingest`" in merge_request.body

    def test_with_a_target_that_has_no_reports_or_broken_ones_say_so(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        evaluation = (merge_request.folder / "reports" / "evaluate.json").read_text()
        merge_request.git("switch", "-qf", "main")
        merge_request.commit("reports/evaluate.json", "{")
        merge_request.git("switch", "-qc", "other")
        merge_request.commit("data/external/rows.csv", "2\n")
        (merge_request.folder / "reports" / "evaluate.json").write_text(evaluation)
        merge_request.write()
        assert "`reports/evaluate.json` cannot be read there" in merge_request.body
        merge_request.environment.setenv("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "gone")
        merge_request.write()
        assert "Compared with nothing: git does not know" in merge_request.body

    def test_of_data_show_what_changed(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.write()
        assert "The same rows as on the target branch." in merge_request.body
        path = merge_request.folder / "reports" / "ingest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"data": "e" * 64, "rows": 1500}))
        merge_request.write()
        assert "| rows | 1,500 | 1,000 | +500 |" in merge_request.body
        assert "| span [d] | 7 | 6 | +1 |" in merge_request.body


class TestThePipeline:
    def test_shows_what_ran_and_what_came_from_the_cache(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.write()
        assert "which came from the cache was not recorded" in merge_request.body
        folder = merge_request.folder / "reports" / "ci"
        folder.mkdir()
        (folder / "stages-train.json").write_text('{"ingest": "unchanged", "prepare": "cache", "train": "ran"}')
        (folder / "stages-validate.json").write_text('{"train": "cache", "decide": "ran", "card": "strange"}')
        (folder / "stages-broken.json").write_text("[")
        merge_request.write()
        ran = "Ran: `train`, `decide`; From the run cache: `prepare`; As dvc.lock says already: `ingest`."
        assert ran in merge_request.body

    def test_names_a_child_pipeline_that_failed(self, merge_request: MergeRequest):
        merge_request.pipeline()
        more = {"downstream_pipeline": {"id": 700}}
        job(merge_request.server.state, "dvc-stages", pipeline=PIPELINE, stage="train", status="failed", **more)
        merge_request.write()
        assert lines(merge_request.body)[0] == "## \u26a0\ufe0f Not judged: job `dvc-stages` failed"

    def test_names_the_knobs_that_were_turned(self, merge_request: MergeRequest):
        params = (merge_request.folder / "params.yaml").read_text()
        merge_request.commit("params.yaml", params.replace("seed: 7", "seed: 8"))
        merge_request.pipeline()
        merge_request.judge()
        merge_request.write()
        assert "1 parameter changed in params.yaml" in merge_request.body
        assert "| `seed` | `7` | `8` |" in merge_request.body


class TestTheOneNote:
    def test_is_updated_and_only_a_changed_picture_is_sent_again(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.write()
        address = next(iter(merge_request.server.state.uploads))
        assert f"(/uploads/{address})" in merge_request.body
        picture = merge_request.folder / "reports" / "evaluate" / "contenders.png"
        assert merge_request.server.state.uploads[address] == picture.read_bytes()
        merge_request.pipeline(PIPELINE + 1)
        assert merge_request.write() == "note 301 of merge request 7 updated"
        assert len(merge_request.server.state.uploads) == 1
        picture.write_bytes(picture.read_bytes() + b"\0")
        merge_request.pipeline(PIPELINE + 2)
        merge_request.write()
        assert len(merge_request.server.state.uploads) == 2
        assert f"(/uploads/{address})" not in merge_request.body

    def test_is_found_behind_hundreds_of_others_and_only_among_our_own(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.write()
        state = merge_request.server.state
        body = merge_request.body
        copied = added(state, Token(user=1, name="mallory", role=30), body, iid=7)
        copied["created_at"] = "2020-01-01T00:00:00.000Z"
        for number in range(150):
            added(state, Token(user=1, name="ada", role=30), f"comment {number}", iid=7)
        merge_request.pipeline(PIPELINE + 1)
        assert merge_request.write() == "note 301 of merge request 7 updated"
        assert (len(state.notes), copied["body"]) == (152, body)

    def test_that_somebody_deleted_is_made_again(self, merge_request: MergeRequest):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.write()
        merge_request.notes.clear()
        assert merge_request.write().endswith("written")
        assert len(merge_request.notes) == 1

    def test_of_a_newer_pipeline_is_not_overwritten_by_an_older_one(self, merge_request: MergeRequest):
        merge_request.judge()
        merge_request.pipeline(PIPELINE + 9)
        merge_request.write()
        body = merge_request.body
        merge_request.pipeline(PIPELINE)
        assert "is that of pipeline 610, which is newer than 601; it stays as it is" in merge_request.write()
        assert merge_request.body == body

    @pytest.mark.parametrize("status", [502, None])
    def test_is_written_once_though_gitlab_stumbles(
        self, merge_request: MergeRequest, status: int | None, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(project, "BACKOFF_SECONDS", 0.01)
        merge_request.pipeline()
        merge_request.judge()
        merge_request.server.state.faults += [
            Fault(NOTES, status, method="POST", late=True),
            Fault("uploads", status),
            Fault("user", status),
        ]
        merge_request.write()
        assert lines(merge_request.body)[0].startswith("## \u2705 Accepted")
        assert all(fault.times == 0 for fault in merge_request.server.state.faults)


class TestBadInput:
    @pytest.mark.parametrize(
        ("token", "message"),
        [
            (JOB, r"did not accept the token \(401"),
            (READER, r"forbids this to the token \(403 .*privileges.*scope `api`"),
            (GUEST, r"forbids this to the token \(403"),
            ("glpat-unknown", r"did not accept the token \(401"),
        ],
    )
    def test_a_token_that_will_not_do_is_told_what_it_needs(
        self, merge_request: MergeRequest, token: str, message: str
    ):
        merge_request.pipeline()
        merge_request.judge()
        merge_request.environment.setenv("WATTLINE_GITLAB_TOKEN", token)
        with pytest.raises(InputError, match=message) as caught:
            merge_request.write()
        assert token not in str(caught.value)
        assert merge_request.notes == []

    @pytest.mark.parametrize(
        "name",
        ["WATTLINE_GITLAB_TOKEN", "CI_API_V4_URL", "CI_MERGE_REQUEST_IID", "CI_PROJECT_PATH", "CI_PIPELINE_ID"],
    )
    def test_a_variable_that_is_not_set_is_named(self, merge_request: MergeRequest, name: str):
        merge_request.environment.delenv(name)
        with pytest.raises(InputError, match=name):
            merge_request.write()
        assert merge_request.server.state.calls == []

    def test_a_fork_is_refused_with_a_sentence(self, merge_request: MergeRequest):
        merge_request.environment.setenv("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "mallory/models")
        with pytest.raises(InputError, match="mallory/models comes from a fork, which is given no token"):
            merge_request.write()
        assert merge_request.server.state.calls == []

    def test_without_any_report_the_note_names_what_is_missing(self, merge_request: MergeRequest):
        for path in (merge_request.folder / "reports").iterdir():
            path.unlink()
        merge_request.pipeline(data_prep="failed", train="skipped", validate="skipped")
        merge_request.write()
        assert lines(merge_request.body)[0] == "## \u26a0\ufe0f Not judged: job `data_prep` failed"
        assert "Missing: `reports/ingest.json`, `reports/validate.json`" in merge_request.body


def test_a_preview_needs_no_gitlab(merge_request: MergeRequest, capsys: pytest.CaptureFixture[str]):
    merge_request.judge()
    merge_request.environment.delenv("WATTLINE_GITLAB_TOKEN")
    assert verb(merge_request, "--preview", "note.md") == 0
    assert capsys.readouterr().out == "note: note.md\n"
    assert Path("note.md").read_text().startswith("## \u2705 Accepted")
    assert verb(merge_request) == 2
    assert capsys.readouterr().err.startswith("wattline: WATTLINE_GITLAB_TOKEN is not set")
    assert merge_request.server.state.calls == []


def verb(merge_request: MergeRequest, *arguments: str) -> int:
    """The exit code of `wattline ci note`."""
    merge_request.environment.setattr(sys, "argv", ["wattline", "ci", "note", *arguments])
    settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    settings.cache_clear()
    return int(ended.value.code or 0)
