"""`wattline push`: what is damaged goes nowhere, what was lost is sent again, and what is there is proven."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gitlab import tiny

from remotes import kept
from remotes.kept import OBJECTS, damage
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.gitlab import run_cache

# What DVC uses is going to change, says what it uses.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NODE = "data/raw/rack/node-2"
REMOTE = "wattline"
"""What the remote of WATTLINE_DVC_REMOTE is called."""
LONG = 120


def sent(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_arrives_and_every_byte_there_is_right(project):
    shutil.rmtree(project.remote)
    project.remote.mkdir()
    said = project.push()
    assert f"push: all {OBJECTS} objects of 3 outputs are in remote '{REMOTE}'" in said
    found = project.verify(remote=REMOTE)
    assert (found.problems, found.outputs, found.objects) == ([], 3, OBJECTS)
    assert found.bytes == sum(len(content) for content in sent(project.remote).values())


def test_only_what_is_named_is_sent(project):
    shutil.rmtree(project.remote)
    project.remote.mkdir()
    assert "all 1 objects of 1 outputs" in project.push("train")
    assert len(sent(project.remote)) == 1
    assert all(problem.missing for problem in project.verify(remote=REMOTE).problems)


@pytest.mark.parametrize("where", ["cache", "workspace"])
def test_what_is_damaged_is_not_sent(project, where):
    shutil.rmtree(project.remote)
    project.remote.mkdir()
    damage(project.cached(NODE) if where == "cache" else project.folder / NODE)
    with pytest.raises(IntegrityError, match=r"is not what is on record, so nothing was sent"):
        project.push()
    assert sent(project.remote) == {}


def test_a_remote_that_dvc_would_believe_is_refused(project):
    project.dvc("remote", "add", "plain", str(project.remote))
    with pytest.raises(InputError, match=r"remote 'plain' is not verified: .*`dvc remote modify plain verify true`"):
        project.push(remote="plain")
    project.dvc("remote", "modify", "plain", "verify", "true")
    project.push(remote="plain")
    with pytest.raises(InputError, match=r"there is no remote 'other'; known: .*plain"):
        project.push(remote="other")


def test_without_a_remote_it_says_how_to_have_one(project, tmp_path):
    alone = kept.Project(tiny.Clone(project.folder, None))
    project.dvc("config", "--local", "--unset", "core.remote")
    with pytest.raises(InputError, match=r"no remote is configured; `dvc remote add --default"):
        alone.push()


def test_a_truncated_object_of_the_remote_is_named_and_sent_again(project):
    """Without `verify`, DVC pulls it with exit code 0; with it, too, DVC's push does not see that it is cut."""
    victim = project.sent(project.cached(NODE))
    whole = victim.read_bytes()
    damage(victim, whole[:-3])
    (problem,) = project.verify(remote=REMOTE).problems
    assert (problem.place, problem.output) == (str(victim), NODE)
    project.dvc("push", "--quiet")
    assert victim.read_bytes() == whole[:-3]
    assert f"push: {victim} was lost or cut short, and is sent again" in project.push()
    assert victim.read_bytes() == whole
    assert project.verify(remote=REMOTE).problems == []


def test_dvc_pulls_a_truncated_object_unless_the_remote_is_verified(project):
    """The fact on which `verify` rests, and what we configure."""
    victim = project.sent(project.cached(NODE))
    damage(victim, b"cut")
    project.cached(NODE).unlink()
    project.dvc("remote", "add", "plain", str(project.remote))
    project.dvc("fetch", "--quiet", "--remote", "plain", "ingest")
    (problem,) = project.verify("ingest").problems
    assert problem.place.startswith(".dvc/cache/")
    (project.folder / problem.place).unlink()
    project.dvc("fetch", "--quiet", "--remote", REMOTE, "ingest")  # drops it, and still ends with exit code 0
    assert not project.cached(NODE).exists()
    assert [one.missing for one in project.verify("ingest").problems] == [True]


def test_an_object_of_the_remote_with_other_bytes_of_that_length_is_named_and_the_remedy_helps(project):
    victim = project.sent(project.cached(NODE))
    damage(victim)
    (problem,) = project.verify(remote=REMOTE).problems
    assert f"remove {victim} and run `wattline push` where {NODE} is whole" in problem.remedy
    victim.unlink()
    project.push()
    assert project.verify(remote=REMOTE).problems == []


def test_a_file_of_a_folder_that_the_remote_lost_is_named_and_sent_again(project):
    """DVC looks for the listing of the folder, which is there."""
    victim = project.sent(project.cached(NODE))
    victim.unlink()
    (problem,) = project.verify(remote=REMOTE).problems
    assert (problem.missing, problem.output) == (True, NODE)
    project.push()
    assert victim.is_file()
    assert project.verify(remote=REMOTE).problems == []


def test_a_lost_listing_is_named_with_what_the_cache_knows_of_it(project):
    project.sent(project.listing("data/raw")).unlink()
    project.sent(project.cached(NODE)).unlink()
    assert [one.output for one in project.verify(remote=REMOTE).problems] == ["data/raw", NODE]
    project.push()
    assert project.verify(remote=REMOTE).problems == []


def test_what_neither_side_has_is_an_error(project, tmp_path):
    project.sent(project.cached(NODE)).unlink()
    fresh = kept.Project(tiny.clone(project.folder, tmp_path / "fresh", remote=project.remote))
    with pytest.raises(WattlineError, match=rf"1 objects are neither here nor in remote '{REMOTE}', such as "):
        fresh.push()


def test_a_clone_without_data_has_nothing_to_send_and_says_what_is_there(project, tmp_path):
    fresh = kept.Project(tiny.clone(project.folder, tmp_path / "fresh", remote=project.remote))
    assert f"all {OBJECTS} objects of 3 outputs are in remote" in fresh.push()


def test_a_remote_that_is_gone_is_one_line(project):
    shutil.rmtree(project.remote)
    with pytest.raises(InputError, match=r"WATTLINE_DVC_REMOTE cannot be reached, so nothing was run"):
        project.push()


def test_a_push_beside_a_dvc_that_works_is_one_line_and_breaks_nothing(project):
    """DVC lets one command at a time into a clone."""
    from dvc.lock import make_lock

    lock = make_lock(str(project.folder / ".dvc/tmp/lock"), str(project.folder / ".dvc/tmp"))
    shutil.rmtree(project.remote)
    project.remote.mkdir()
    with lock, pytest.raises(WattlineError, match="did not take everything: Unable to acquire lock"):
        project.push()
    assert sent(project.remote) == {}
    project.push()


def test_jobs_of_ci_send_nothing_that_is_damaged_either(project):
    """`wattline ci repro` and `wattline ci lock`."""
    shutil.rmtree(project.remote)
    project.remote.mkdir()
    damage(project.cached(NODE))
    with tiny.inside(project.clone):
        for send in (run_cache.complete, lambda: run_cache.push(["ingest", "train"], say=str)):
            with pytest.raises(
                IntegrityError, match=r"cache is damaged, so nothing was sent: .*`wattline data verify`"
            ):
                send()
    assert sent(project.remote) == {}


def test_a_push_that_is_killed_leaves_whole_objects_and_the_next_one_ends_it(project):
    """Some thirty files of a megabyte, and a kill as soon as one of them has arrived."""
    for number in range(30):
        (project.folder / "data/raw/rack" / f"large-{number}").write_bytes(os.urandom(1 << 20))
    project.dvc("commit", "--quiet", "--force", "ingest")
    before = len(sent(project.remote))
    command = [sys.executable, "-m", "wattline", "push", "ingest"]
    with subprocess.Popen(
        command, cwd=project.folder, env=project.clone.environment(), stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        deadline = time.monotonic() + LONG
        while len(list(project.remote.rglob("*"))) <= before + 6 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    found = project.verify("ingest", remote=REMOTE).problems
    assert all(problem.missing for problem in found)
    assert project.verify("ingest").damaged == []
    project.push()
    assert project.verify(remote=REMOTE).problems == []
