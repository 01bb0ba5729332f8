"""Each verb of the registry does what its help says, and a bad input is one line and an exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import yaml
from builders import signing_key, write_keys
from gitlab import standin
from gitlab.standin import API, PROJECT

from tests.proof.site import NAME, SOURCES, Said, Site
from wattline import files

Run = Callable[..., Said]


@pytest.fixture
def run(site: Site, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line at `site`."""
    return lambda *arguments: site.run(capsys, *arguments)


def refused(said: Said, code: int, reason: str) -> None:
    """One line on stderr, nothing on stdout, and the exit code that the kind of error has."""
    assert (said.code, said.out) == (code, ""), said
    (line,) = said.err.splitlines()
    assert line.startswith("wattline: ")
    assert reason in line
    assert "Traceback" not in line


def done(said: Said, *lines: str) -> None:
    assert (said.code, said.err) == (0, ""), said
    assert said.out == "".join(f"{line}\n" for line in lines)


class TestRegister:
    def test_it_says_which_version_it_is(self, run):
        done(run("register"), f"registered: {NAME} version 1 is challenger")

    def test_a_rejected_candidate_ends_with_1(self, site, run):
        site.train(b"one", failed=["quality"])
        refused(run("register"), 1, "was rejected by quality")

    def test_a_gate_that_may_not_be_overridden_ends_with_2(self, run):
        refused(run("register", "--override", "quality", "--reason", "I like it"), 2, "may not be overridden")

    def test_an_override_without_a_reason_ends_with_2(self, site, run):
        site.knobs(registry={"overridable": ["energy"]})
        site.train(b"one", failed=["energy"])
        refused(run("register", "--override", "energy"), 2, "gives no reason; add --reason")

    def test_an_override_with_a_reason_is_taken(self, site, run):
        site.knobs(registry={"overridable": ["energy"]})
        site.train(b"one", failed=["energy"])
        done(
            run("register", "--override", "energy", "--reason", "the meter was broken"),
            f"registered: {NAME} version 1 is challenger",
        )

    def test_sources_that_were_never_committed_end_with_2(self, site, run):
        (site.folder / "new.py").write_text("changed = True\n")
        refused(run("register"), 2, "sources differ from the commit")
        assert run("register", "--allow-dirty").code == 0

    def test_without_a_key_it_ends_with_2(self, site, run):
        site.private.unlink()
        refused(run("register"), 2, "run `wattline keys new`")

    def test_without_params_it_ends_with_2(self, site, run):
        (site.folder / "params.yaml").unlink()
        refused(run("register"), 2, "params.yaml")


class TestSign:
    def test_it_signs_with_todays_key(self, site, run):
        site.register()
        write_keys(site.folder / ".wattline" / "keys", seed=5)
        former = site.folder / ".wattline" / "former.pem"
        former.write_bytes(signing_key(0).public.pem())
        site.knobs(registry={"former_keys": [{"file": ".wattline/former.pem", "until": 99}]})
        done(run("sign"), f"signed: {NAME} version 1")
        assert run("promote").code == 0

    def test_a_version_that_is_not_there_ends_with_2(self, site, run):
        site.register()
        refused(run("sign", "--version", "9"), 2, "has no version '9'")

    def test_without_any_version_it_ends_with_2(self, run):
        refused(run("sign"), 2, f"{NAME} has no challenger; run `wattline register` first")


class TestApprove:
    def test_it_says_who(self, site, run):
        site.register()
        said = run("approve", "--reason", "looks good")
        assert said.code == 0
        assert said.out.startswith(f"approved: {NAME} version 1 by ")

    def test_a_job_that_nobody_started_by_hand_ends_with_2(self, site, run, monkeypatch):
        site.register()
        monkeypatch.setenv("CI", "true")
        monkeypatch.setenv("GITLAB_USER_LOGIN", "ada")
        refused(run("approve"), 2, "an approval comes from a person, and nobody started this CI job by hand")
        assert site.actions() == ["register"]

    def test_a_job_that_somebody_started_is_theirs(self, site, run, monkeypatch):
        site.register()
        monkeypatch.setenv("CI", "true")
        monkeypatch.setenv("CI_JOB_MANUAL", "true")
        monkeypatch.setenv("GITLAB_USER_LOGIN", "ada")
        done(run("approve"), f"approved: {NAME} version 1 by ada")


class TestChampion:
    def test_promote_rollback_and_recover(self, site, run):
        site.register(b"one")
        done(run("promote"), f"promoted: {NAME} version 1 is champion")
        site.register(b"two", champion=site.champion())
        done(run("promote"), f"promoted: {NAME} version 2 is champion")
        done(run("champion"), "champion: version 2", "earlier versions: 2 in earlier/")
        done(run("rollback", "--reason", "alarms"), f"rolled back: {NAME} version 1 is champion")
        assert json.loads((site.folder / "champion/champion.json").read_text())["version"] == "1"
        with site.opened() as found:
            found.client.set_registered_model_alias(NAME, "champion", "2")
        refused(run("champion"), 2, "run `wattline recover`")
        done(run("recover"), f"recovered: the champion of {NAME} is version 1, by entry 5")
        done(run("champion"), "champion: version 1", "earlier versions: 2 in earlier/")

    def test_without_approval_promote_ends_with_1(self, site, run):
        site.knobs(registry={"approvals": 1})
        site.register()
        refused(run("promote"), 1, "is approved by 0 of 1 people (nobody)")

    def test_a_candidate_that_was_compared_with_another_champion_ends_with_4(self, site, run):
        site.register(b"one")
        site.promote()
        site.register(b"two")
        refused(run("promote"), 4, "was compared with no champion, the champion is version 1")

    def test_a_version_that_is_not_there_ends_with_2(self, site, run):
        site.register()
        refused(run("promote", "--version", "9"), 2, "has no version '9'")

    def test_without_a_champion_there_is_nothing_to_roll_back(self, site, run):
        site.register()
        refused(run("rollback"), 2, "has no champion; there is nothing to roll back")
        done(run("champion"), "champion: none yet", "earlier versions: 1 in earlier/")
        done(run("recover"), f"recovered: the champion of {NAME} is none")

    def test_a_version_that_was_no_champion_is_no_way_back(self, site, run):
        site.register(b"one")
        site.promote()
        refused(run("rollback", "--to", "9"), 2, "was no champion before version 1; former ones: none")


class TestMoving:
    def test_export_and_import(self, site, elsewhere, run, capsys):
        site.register()
        done(run("export", "1", "--to", "out.tar"), "exported: out.tar")
        said = elsewhere.run(capsys, "import", str(site.folder / "out.tar"))
        done(said, f"imported: {NAME} version 1 is challenger")

    def test_a_name_is_chosen_where_a_folder_is_given(self, site, run):
        site.register()
        done(run("export"), f"exported: {NAME}-1.wattline.tar")

    def test_a_version_that_is_not_there_ends_with_2(self, site, run):
        refused(run("export", "9"), 2, "has no version '9'")

    def test_an_archive_that_is_not_there_ends_with_2(self, elsewhere, capsys):
        refused(elsewhere.run(capsys, "import", "nothing.tar"), 2, "there is no such file; check the path")

    def test_a_candidate_that_was_rejected_there_ends_with_1(self, site, elsewhere, run, capsys):
        site.knobs(registry={"overridable": ["energy"]})
        site.register(b"one", failed=["energy"], overrides={"energy": "they do not mind"})
        run("export", "--to", "out.tar")
        refused(elsewhere.run(capsys, "import", str(site.folder / "out.tar")), 1, "was rejected by energy")


class TestTrace:
    def test_it_prints_a_tree_and_writes_the_other_forms(self, lived, capsys, tmp_path):
        names = {"--picture": "a.svg", "--prov": "a.json", "--crate": "crate"}
        paths = [part for option, name in names.items() for part in (option, str(tmp_path / name))]
        said = lived.site.run(capsys, "trace", lived.prediction, *paths)
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"prediction: {lived.prediction}\n")
        assert all((tmp_path / name).exists() for name in names.values())

    @pytest.mark.parametrize("what", ["nothing", "999"])
    def test_what_is_unknown_ends_with_2(self, lived, capsys, what):
        refused(lived.site.run(capsys, "trace", what), 2, "no version")

    def test_it_needs_no_log_of_answers(self, site, run):
        site.register()
        path = site.folder / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        tree["serving"]["log"]["folder"] = ""
        path.write_text(yaml.safe_dump(tree))
        assert run("trace", "1").code == 0


class TestReproduce:
    def test_a_pipeline_that_the_commit_does_not_have_ends_with_2(self, site, run):
        site.register()
        refused(run("reproduce", "1"), 2, "has no dvc.yaml in this folder")

    def test_sources_that_were_never_committed_end_with_2(self, site, run):
        (site.folder / "new.py").write_text("changed = True\n")
        site.register(allow_dirty=True)
        refused(run("reproduce"), 2, "is dirty: sources differed from commit")

    def test_another_environment_than_there_is_ends_with_2(self, site, run):
        refused(run("reproduce", "--environment", "none"), 2, "environment")

    def test_one_without_a_lock_ends_with_2(self, site, run):
        (site.folder / "dvc.lock").unlink()
        site.register()
        refused(run("reproduce"), 2, "was registered without dvc.lock")


class TestMirror:
    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[standin.Server]:
        with standin.running() as running:
            monkeypatch.setenv("CI_API_V4_URL", running.address.removesuffix(f"/projects/{PROJECT}"))
            monkeypatch.setenv("CI_PROJECT_ID", PROJECT)
            monkeypatch.setenv("WATTLINE_GITLAB_TOKEN", API)
            yield running

    def test_it_says_what_it_wrote_and_the_second_time_nothing(self, lived, server, capsys):
        first, second = (lived.site.run(capsys, "mirror", "1") for _ in range(2))
        assert first.out.startswith(f"mirrored: version 1 of {NAME} is in ")
        assert second.out.endswith("already; nothing was changed\n")
        assert (first.code, second.code) == (0, 0)
        assert API not in first.out + first.err

    def test_a_token_that_is_none_ends_with_2_and_is_not_shown(self, lived, server, capsys, monkeypatch):
        monkeypatch.setenv("WATTLINE_GITLAB_TOKEN", "glpat-hunter2")
        said = lived.site.run(capsys, "mirror", "1")
        refused(said, 2, "did not accept the token")
        assert "hunter2" not in said.err

    def test_without_variables_it_ends_with_2(self, lived, capsys):
        refused(lived.site.run(capsys, "mirror", "1"), 2, "see docs/gitlab.md")


class TestSync:
    def test_what_waited_is_sent_once(self, site, run, monkeypatch):
        monkeypatch.setenv("WATTLINE_OFFLINE", "1")
        site.train(b"one")
        monkeypatch.delenv("WATTLINE_OFFLINE")
        said = run("sync")
        assert (said.code, said.err) == (0, "")
        first, last = said.out.splitlines()
        assert first.startswith("sent: ")
        assert "offline/sent/000001.json as run " in first
        assert last == "synced: 1 training"
        done(run("sync"), "synced: 0 trainings")

    def test_a_damaged_record_ends_with_2(self, site, run, monkeypatch):
        monkeypatch.setenv("WATTLINE_OFFLINE", "1")
        site.train(b"one")
        monkeypatch.delenv("WATTLINE_OFFLINE")
        (path,) = (site.folder / ".wattline" / "offline").glob("*.json")
        path.write_text(path.read_text().replace("pca", "abc"))
        refused(run("sync"), 2, "000001.json")


class TestZoo:
    def test_it_is_written_and_right_without_a_signing_key(self, site, run):
        site.register()
        site.private.unlink()
        done(run("zoo"), "zoo: 1 version in model_cards/index.md")
        said = run("zoo", "validate")
        assert (said.code, said.err) == (0, "")
        assert said.out.endswith("zoo: the index says what the registry says\n")

    def test_a_change_by_hand_ends_with_1(self, site, run):
        site.register()
        run("zoo")
        path = site.folder / files.CARDS / "index.yaml"
        path.write_text(path.read_text().replace("status: challenger", "status: champion"))
        said = run("zoo", "validate")
        assert said.code == 1
        assert "status is 'champion', the registry says 'challenger'; run `wattline zoo`" in said.err
        assert "the index says what" not in said.out

    def test_an_index_that_was_never_written_ends_with_1(self, site, run):
        site.register()
        said = run("zoo", "validate")
        assert said.code == 1
        assert "index.yaml" in said.err

    def test_a_version_that_does_not_hold_ends_with_2(self, site, run):
        site.register()
        (site.artifacts("1") / "candidate" / "model.onnx").write_bytes(b"altered")
        refused(run("zoo"), 2, "model.onnx has SHA-256")


class TestAudit:
    def test_it_is_shown_verified_and_exported(self, site, run):
        site.register()
        site.promote()
        assert len(run("audit", "show").out.splitlines()) == 2
        assert run("audit", "verify").out.startswith("audit log: 2 entries hold, the last one is ")
        done(run("audit", "export", "out/log.jsonl"), "exported: 2 entries to out/log.jsonl")
        assert run("audit", "verify", "--file", "out/log.jsonl").code == 0
        site.register(b"two")
        assert run("audit", "verify", "--against", "out/log.jsonl").code == 0

    def test_an_export_that_was_edited_ends_with_2(self, site, run):
        site.register()
        run("audit", "export", "log.jsonl")
        path = site.folder / "log.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
        refused(run("audit", "verify", "--file", "log.jsonl"), 2, "entr")

    def test_an_export_that_is_not_there_ends_with_2(self, site, run):
        refused(run("audit", "verify", "--file", "nothing.jsonl"), 2, "nothing.jsonl")

    @pytest.mark.parametrize("path", ["params.yaml/log.jsonl", "data"])
    def test_a_place_where_nothing_can_be_written_ends_with_2(self, site, run, path):
        site.register()
        refused(run("audit", "export", path), 2, f"{path} cannot be written: ")

    def test_of_an_empty_log_nothing_is_shown(self, run):
        assert run("audit", "show").code == 0

    def test_without_a_key_it_is_not_exported(self, site, run):
        site.register()
        site.private.unlink()
        refused(run("audit", "export", "log.jsonl"), 2, "run `wattline keys new`")
        assert run("audit", "show").code == 0


@pytest.mark.parametrize(
    "line", ["promote 9", "trace", "import", "audit export", "export 1 2", "zoo nothing", "sync x"]
)
def test_a_call_that_makes_no_sense_ends_with_2_and_says_how_to_call_it(run, line):
    said = run(*line.split())
    assert said.code == 2
    assert "Usage: " in said.err
    assert "Traceback" not in said.err


def test_in_a_process_of_its_own_it_is_the_same(site):
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-m", "wattline", "trace", "nothing"]
    ended = subprocess.run(command, cwd=site.folder, env=environment, check=False, capture_output=True, text=True)
    refused(Said(ended.returncode, ended.stdout, ended.stderr), 2, "'nothing' is no version of anomaly-simulator")
