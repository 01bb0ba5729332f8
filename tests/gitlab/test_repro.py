"""`wattline ci repro`: what ran once runs nowhere again, what failed loses nothing, and what is damaged is noticed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from gitlab import tiny
from wattline.errors import InputError, IntegrityError
from wattline.gitlab import affected, dvc_commands, dvc_remote, repro
from wattline.settings import Settings

# What DVC uses is going to change, says what it uses.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

LONG = 120
"""Seconds after which something that should happen will not."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A clone in which all stages ran as a job; what it said."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "remote").mkdir()
    made = tiny.project(folder / "one", remote=folder / "remote")
    code, said = made.repro()
    assert code == 0, said
    assert "ran: ingest, train, decide; from the run cache: nothing; unchanged: nothing" in said
    return made


@pytest.fixture
def fresh(ran, tmp_path):
    """A clone that has nothing but what is in git and a copy of the remote, in which damage hurts nobody else."""
    shutil.copytree(ran.remote, tmp_path / "remote")
    return tiny.clone(ran.folder, tmp_path / "fresh", remote=tmp_path / "remote")


@pytest.fixture
def locked(ran, fresh):
    """The same with dvc.lock and reports."""
    fresh.write(dvc_dot_lock=ran.text("dvc.lock"))
    shutil.copytree(ran.folder / "reports", fresh.folder / "reports", dirs_exist_ok=True)
    return fresh


def test_a_job_leaves_word_of_how_each_stage_came_about(fresh):
    """It is what the merge request's note tells."""
    fresh.write(train_dot_sh="echo otherwise\n")
    with tiny.inside(fresh, CI_JOB_NAME="dvc:train 1/2") as known:
        assert repro.repro([], known, say=lambda line: None) == 0
    said = json.loads(fresh.text("reports/ci/stages-dvc%3Atrain%201%2F2.json"))
    assert said == {"ingest": "cache", "train": "ran", "decide": "ran"}


def test_a_clone_with_the_remote_alone_runs_nothing_and_has_the_same_bytes(ran, fresh):
    code, said = fresh.repro()
    assert code == 0, said
    assert "ran: nothing; from the run cache: ingest, train, decide; unchanged: nothing" in said
    assert "s beyond the" in said
    for path in (
        "dvc.lock",
        "reports/joules.json",
        "reports/train/curve.csv",
        "reports/decide.json",
        "models/candidate",
    ):
        assert fresh.text(path) == ran.text(path), path


def test_a_cache_that_runners_share_lends_data_but_nothing_that_artifacts_hold(ran, fresh, tmp_path):
    """Reports and the candidate are files of their own there, since artifacts cannot hold what a link leads to."""
    with tiny.inside(fresh, WATTLINE_DVC_CACHE=str(tmp_path / "cache")) as known:
        assert repro.repro([], known, outputs=True, say=lambda line: None) == 0
    assert list((tmp_path / "cache/files/md5").iterdir())
    for path in ("reports/joules.json", "reports/train/curve.csv", "reports/card.md", "models/candidate"):
        assert not (fresh.folder / path).is_symlink()
        assert fresh.text(path) == ran.text(path)


def test_the_job_of_a_fork_takes_and_leaves_nothing(fresh, tmp_path):
    """Its code could put anything on record as the outcome of inputs that others have."""
    held = {path: path.read_bytes() for path in fresh.remote.rglob("*") if path.is_file()}
    (tmp_path / "lent").mkdir()
    fresh.write(train_dot_sh="echo otherwise\n")
    fork = {"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "a/fork", "CI_MERGE_REQUEST_PROJECT_PATH": "a/b"}
    code, said = fresh.wattline("repro", WATTLINE_DVC_CACHE=str(tmp_path / "lent"), **fork)
    assert code == 0, said
    assert "ran: train, decide; from the run cache: ingest" in said
    assert {path: path.read_bytes() for path in fresh.remote.rglob("*") if path.is_file()} == held
    assert list((tmp_path / "lent").iterdir()) == []


@pytest.mark.parametrize("damage", ["", "text", "[]", "cmd: x\nouts: [{path: a}]", "cmd: x\nouts: null", "{", "\0"])
def test_a_record_in_the_remote_that_is_none_costs_a_run_and_no_more(fresh, damage):
    for path in fresh.remote.glob("runs/*/*/*"):
        path.write_text(damage)
    with tiny.inside(fresh) as known:
        dvc_remote.configure(known)
        assert list(affected.plan().to_run) == ["ingest", "train", "decide"]
    code, said = fresh.repro()
    assert (code, "ran: ingest, train, decide" in said) == (0, True), said


def test_what_nobody_needs_stays_in_the_remote_unless_it_is_asked_for(ran, locked):
    code, said = locked.repro("train", outputs=True)
    assert code == 0, said
    assert "ran: nothing; from the run cache: nothing; unchanged: ingest, train" in said
    assert locked.text("models/candidate") == ran.text("models/candidate")
    assert not (locked.folder / "data/raw").exists()


def test_a_failing_stage_loses_nothing_that_came_before_it(fresh):
    fresh.write(source_dot_txt="other rows\n", train_dot_sh="exit 7\n")
    code, said = fresh.repro()
    assert code == 255, said
    assert "ran: ingest, train" in said
    assert "dvc ended with exit code 255" in said
    other = tiny.clone(fresh.folder, fresh.folder.with_name("other"), remote=fresh.remote)
    other.write(source_dot_txt="other rows\n")
    assert "from the run cache: ingest" in other.repro("ingest")[1]


def test_a_truncated_object_in_the_remote_is_noticed_and_made_again(ran, locked):
    damaged = _object(locked.remote, (ran.folder / "models/candidate").read_bytes())
    good = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(good[:5])
    locked.write(dvc_dot_yaml=tiny.WIRING.replace("cat models/candidate", "cat  models/candidate"))
    code, said = locked.repro()
    assert code == 0, said
    assert re.search("object [0-9a-f]{32} of train is (damaged|missing)", said), said
    assert "failed to run" not in said
    assert "ran: train, decide" in said
    assert damaged.read_bytes() == good
    assert locked.text("models/candidate") == ran.text("models/candidate")


class TestAFileThatWasAdded:
    """With `dvc add`, to a folder that a stage reads: git has its record, the remote its bytes."""

    @pytest.fixture
    def added(self, fresh, tmp_path):
        """A clone of a commit in which the folder `external` holds such a file."""
        one = fresh.wattline("repro", "ingest")
        assert one[0] == 0, one[1]
        wiring = tiny.WIRING.replace("cat source.txt params", "cat external/* params")
        wiring = wiring.replace("source.txt]", "external]")
        fresh.write(
            dvc_dot_yaml=wiring,
            external__here_dot_txt="here\n",
            external__site_dot_csv="added\n",
            external___dot_gitignore="*.csv\n",
        )
        for command in (["add", "--quiet", "external/site.csv"], ["push", "--quiet", "external/site.csv"]):
            subprocess.run(
                [sys.executable, "-m", "dvc", *command], cwd=fresh.folder, env=fresh.environment(), check=True
            )
        fresh.git("add", "external")
        fresh.commit()
        return tiny.clone(fresh.folder, tmp_path / "added", remote=fresh.remote)

    def test_it_reaches_the_job(self, added):
        code, said = added.repro("ingest")
        assert code == 0, said
        assert "added" in added.text("data/raw/rows.txt")

    @pytest.mark.parametrize("content", [None, b"add"])
    def test_nothing_runs_without_it(self, added, content):
        place = _object(added.remote, b"added\n")
        place.chmod(0o644)
        place.unlink() if content is None else place.write_bytes(content)
        with pytest.raises(InputError, match=r"external/site\.csv is not in the DVC remote, or damaged there"):
            added.repro()
        assert not (added.folder / "data/raw").exists()


class TestASnapshot:
    """Which one `ingest` reads is in params.yaml; DVC does not know that it reads any."""

    ID = "5" * 64

    @pytest.fixture
    def taken(self, fresh):
        """A project with a snapshot that was pushed."""
        one = fresh.wattline("repro", "ingest")  # also tells DVC its remote
        assert one[0] == 0, one[1]
        params = yaml.safe_load((tiny.ROOT / "params.yaml").read_text())
        params[params["task"]["name"]]["ingest"] = {"source": "snapshot", "options": {"snapshot": {"newest": "rows"}}}
        wiring = tiny.WIRING.replace("cat source.txt params.yaml", "cat data/snapshots/*/rows.txt")
        wiring = wiring.replace("source.txt]", "data/snapshots/newest.json]")
        fresh.write(
            dvc_dot_yaml=wiring.replace("[rows]", "[seed]").replace("[epochs]", "[seed]"),
            params_dot_yaml=yaml.safe_dump(params),
            data__snapshots__newest_dot_json=json.dumps({"rows": self.ID}),
            **{f"data__snapshots__{self.ID}__rows_dot_txt": "of a snapshot\n"},
        )
        snapshot = f"data/snapshots/{self.ID}"
        for command in (["add", "--quiet", snapshot], ["push", "--quiet", snapshot]):
            subprocess.run(
                [sys.executable, "-m", "dvc", *command], cwd=fresh.folder, env=fresh.environment(), check=True
            )
        fresh.commit()
        return fresh

    def clone(self, taken, folder):
        return tiny.clone(taken.folder, folder, remote=taken.remote)

    def test_it_reaches_the_job_that_reads_it_and_no_other(self, taken, tmp_path):
        first = self.clone(taken, tmp_path / "first")
        code, said = first.repro("ingest")
        assert code == 0, said
        assert first.text("data/raw/rows.txt") == "of a snapshot\n"
        first.git("add", "dvc.lock", "reports")
        first.commit()
        second = tiny.clone(first.folder, tmp_path / "second", remote=taken.remote)
        code, said = second.repro("train")
        assert code == 0, said
        assert "ran: train;" in said
        assert not (second.folder / "data" / "snapshots" / self.ID).exists()

    @pytest.mark.parametrize("content", [None, b"of"])
    def test_nothing_runs_without_it(self, taken, tmp_path, content):
        place = _object(taken.remote, b"of a snapshot\n")
        place.chmod(0o644)
        place.unlink() if content is None else place.write_bytes(content)
        job = self.clone(taken, tmp_path / "job")
        with pytest.raises(InputError, match=f"data/snapshots/{self.ID}.* is not in the DVC remote, or damaged there"):
            job.repro()
        assert not (job.folder / "data/raw").exists()

    def test_a_record_that_nobody_committed_is_named(self, taken, tmp_path):
        taken.git("rm", "--quiet", f"data/snapshots/{self.ID}.dvc")
        taken.write(**{f"data__snapshots__{'6' * 64}_dot_dvc": "outs: []\n"})
        taken.commit()
        with pytest.raises(InputError, match=rf"{self.ID}\.dvc is not in git"):
            self.clone(taken, tmp_path / "job").repro()


def test_a_damaged_cache_gives_nothing_away(fresh):
    assert fresh.repro("ingest")[0] == 0
    damaged = _object(fresh.folder / ".dvc/cache", (fresh.folder / "data/raw/rows.txt").read_bytes())
    damaged.chmod(0o644)
    damaged.write_bytes(b"wrong")
    damaged.chmod(0o444)
    shutil.rmtree(fresh.folder / "data/raw")
    (fresh.folder / "dvc.lock").unlink()
    with pytest.raises(IntegrityError, match="data/raw: not what"):
        fresh.repro("ingest")
    assert not damaged.exists()


def test_a_cancelled_job_ends_its_stage_and_the_next_one_works(fresh):
    """The stage's line is read while it runs, and it does not heed SIGTERM."""
    fresh.write(train_dot_sh="trap '' TERM\necho $$ > pid; echo under way\nwhile true; do sleep 1; done\n")
    process = fresh.start("repro", "train")
    killer = threading.Timer(LONG, process.kill)
    killer.start()
    try:
        assert any(line == "under way\n" for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    finally:
        killer.cancel()
        process.kill()
    assert process.returncode == 143
    pid = int(fresh.text("pid"))
    assert not _lives(pid)
    assert not _lives(_first_holder(fresh) or pid)
    fresh.write(train_dot_sh="echo training\n")
    code, said = fresh.repro("train")
    assert code == 0, said


@pytest.mark.parametrize("left", ["another's number", "half a table"])
def test_a_lock_that_a_killed_job_left_stops_nobody(fresh, left):
    locks = fresh.folder / ".dvc/tmp/rwlock"
    locks.parent.mkdir()
    held = {"pid": os.getppid() or 1, "cmd": "dvc repro"}
    text = json.dumps({"write": {str(fresh.folder / "data/raw"): held}, "read": {}})
    locks.write_text(text if left == "another's number" else text[:20])
    with tiny.inside(fresh):
        dvc_commands.forget_dead_processes()
    assert not locks.exists()


def test_a_lock_of_a_running_dvc_stays(fresh, tmp_path):
    locks = fresh.folder / ".dvc/tmp/rwlock"
    locks.parent.mkdir()
    stand_in = subprocess.Popen(["sh", "-c", "read line # dvc repro"], cwd=fresh.folder, stdin=subprocess.PIPE)
    try:
        locks.write_text(json.dumps({"write": {"x": {"pid": stand_in.pid, "cmd": "dvc"}}, "read": {}}))
        while not Path(f"/proc/{stand_in.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        with tiny.inside(fresh):
            dvc_commands.forget_dead_processes()
        assert locks.exists()
    finally:
        stand_in.communicate()


class TestRemote:
    """A remote that cannot be used is named before anything happens."""

    @pytest.fixture
    def here(self, tmp_path):
        return tiny.project(tmp_path / "one", remote=None)

    @pytest.mark.parametrize(
        ("remote", "said"),
        [
            ("/there/is/no/such/folder", "WATTLINE_DVC_REMOTE cannot be reached, so nothing was run"),
            ("https://example.org/dvc", "is of the kind https://"),
            ("s3://key:" + "word@bucket/dvc", "holds more than a place"),
            ("s3://bucket?versionId=1", "holds more than a place"),
        ],
    )
    def test_it_is_refused(self, here, remote, said):
        with tiny.inside(here), pytest.raises(InputError, match=said) as refused:
            dvc_remote.configure(Settings(WATTLINE_DVC_REMOTE=remote))
        assert "word" not in str(refused.value)
        assert not (here.folder / ".dvc/config.local").exists()

    def test_the_job_says_it_in_one_line(self, here):
        code, said = here.wattline("repro", WATTLINE_DVC_REMOTE="/there/is/no/such/folder")
        assert code == 2
        assert said.count("\n") == 1
        assert not (here.folder / "data/raw").exists()

    def test_a_remote_of_the_project_is_held_to_its_digests(self, here, tmp_path):
        (tmp_path / "kept").mkdir()
        here.write(
            _dot_dvc__config="[core]\n    remote = kept\n['remote \"kept\"']\n    url = " + str(tmp_path / "kept")
        )
        with tiny.inside(here) as known:
            assert dvc_remote.configure(known) == "kept"
        assert "verify = True" in here.text(".dvc/config.local")

    def test_one_that_is_not_named_any_more_is_forgotten(self, here, tmp_path):
        (tmp_path / "remote").mkdir()
        here.write(_dot_dvc__config_dot_local="[core]\n    autostage = true\n")
        with tiny.inside(here) as known:
            shared = Settings(WATTLINE_DVC_REMOTE=str(tmp_path / "remote"), WATTLINE_DVC_CACHE=str(tmp_path / "cache"))
            assert dvc_remote.configure(shared) == dvc_remote.NAME
            written = here.text(".dvc/config.local")
            assert dvc_remote.configure(known) is None
        assert "shared = group" in written
        assert 'type = "reflink,symlink,copy"' in written
        assert "autostage" in here.text(".dvc/config.local")
        assert str(tmp_path / "remote") not in here.text(".dvc/config.local")

    def test_without_one_what_is_lost_is_made_again(self, here):
        assert here.repro()[0] == 0
        here.commit()
        other = tiny.clone(here.folder, here.folder.with_name("other"), remote=None)
        code, said = other.repro()
        assert code == 0, said
        assert "other jobs do not find it" in said
        assert (other.folder / "models/candidate").exists()


def _object(place: Path, content: bytes) -> Path:
    found = [path for path in place.glob("files/md5/*/*") if path.read_bytes() == content]
    assert len(found) == 1
    return found[0]


def _lives(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.1)
    return True


def _first_holder(one: tiny.Clone) -> int | None:
    """Who still holds a path in DVC's table."""
    try:
        table = json.loads((one.folder / ".dvc/tmp/rwlock").read_text())
    except FileNotFoundError:
        return None
    return next((entry["pid"] for entry in table["write"].values()), None)
