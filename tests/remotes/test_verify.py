"""`wattline data verify`: whatever DVC does not notice is named, with what to do, which then helps."""

import stat
import subprocess
import sys

import pytest
from gitlab import tiny

from remotes import kept
from remotes.kept import OBJECTS, damage
from wattline import objects
from wattline.errors import InputError

# What DVC uses is going to change, says what it uses.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NODE = "data/raw/rack/node-2"


def test_what_is_whole_passes_and_every_file_and_object_was_read(project):
    found = project.verify()
    assert (found.problems, found.outputs, found.files, found.objects) == ([], 4, 6, OBJECTS)
    assert found.bytes > 0
    assert "nothing is wrong" in found.lines()[-1]


def test_a_damaged_object_that_dvc_takes_at_its_word_is_named_and_the_remedy_helps(project):
    """Mode 0444, by which DVC believes an object unseen: all is well, it says, and restores them."""
    victim = project.cached(NODE)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o444
    damage(victim)
    wrong = objects.file_digest(victim)
    project.dvc("status")
    project.dvc("checkout", "--force")
    (problem,) = project.verify().problems
    assert problem.place.endswith(str(victim.relative_to(project.folder)))
    assert (problem.output, problem.found) == (NODE, wrong)
    assert problem.expected == victim.parent.name + victim.name
    assert "`dvc fetch data/raw`" in str(problem)
    victim.unlink()
    project.dvc("fetch", "data/raw")
    assert project.verify().problems == []


def test_dvc_restores_the_damaged_object_which_is_why_we_look(project):
    """The fact on which all of this rests. Should DVC begin to notice, much here may go."""
    damage(project.cached(NODE))
    (project.folder / NODE).unlink()
    project.dvc("checkout", "data/raw")
    places = [problem.place for problem in project.verify("ingest").problems]
    assert places[0] == NODE
    assert places[1].startswith(".dvc/cache/files/md5/")


def test_a_changed_file_here_is_named_and_the_remedy_helps(project):
    damage(project.folder / NODE)
    (problem,) = project.verify().problems
    assert problem.place == NODE
    assert f"remove {NODE} and run `dvc checkout data/raw`" in problem.remedy
    (project.folder / NODE).unlink()
    project.dvc("checkout", "data/raw")
    assert project.verify().problems == []


def test_a_file_too_many_one_too_few_and_a_report_are_named(project):
    (project.folder / NODE).unlink()
    tiny.write(project.folder, "data/raw/extra", "x")
    tiny.write(project.folder, "reports/ingest.json", "4\n")
    tiny.write(project.folder, "data/raw/.node.swp", "what .dvcignore names is nobody's")
    said = {problem.place: str(problem) for problem in project.verify().problems}
    assert sorted(said) == ["data/raw/extra", NODE, "reports/ingest.json"]
    assert "is on no record" in said["data/raw/extra"]
    assert "is missing" in said[NODE]


def test_what_was_added_by_hand_is_held_against_its_own_file(project):
    damage(project.folder / "data/external/site.csv")
    (problem,) = project.verify("data/external/site.csv.dvc").problems
    assert problem.place == "data/external/site.csv"
    assert "`dvc commit data/external/site.csv.dvc`" in problem.remedy


def test_an_output_that_is_nowhere_does_not_pass_and_one_of_either_place_does(project, tmp_path):
    fresh = kept.Project(tiny.clone(project.folder, tmp_path / "fresh", remote=project.remote))
    missing = [problem for problem in fresh.verify().problems if problem.missing]
    assert {problem.place for problem in missing} == {"data/raw", "models/candidate", "data/external/site.csv"}
    assert "`dvc pull data/raw`" in missing[0].remedy
    fresh.dvc("remote", "add", "--default", "kept", str(project.remote))
    fresh.dvc("fetch", "ingest")
    assert fresh.verify("data/raw").problems == []
    for part in (project.folder / ".dvc/cache").rglob("*"):
        if part.is_file():
            part.unlink()
    found = project.verify()
    assert found.problems == []
    assert "in no cache, but whole here: data/raw" in "\n".join(found.notes)


def test_a_folder_that_lost_an_object_of_the_cache_is_named(project):
    """DVC looks for the listing alone."""
    victim = project.cached(NODE)
    victim.unlink()
    (problem,) = project.verify("ingest").problems
    assert (problem.missing, problem.output) == (True, NODE)
    project.dvc("fetch", "data/raw")
    assert project.verify("ingest").problems == []


@pytest.mark.parametrize("content", [b"", b"[", b"[{}]", b"null"])
def test_a_listing_that_is_none_is_named_and_never_read(project, content):
    victim = project.listing("data/raw")
    damage(victim, content)
    (problem,) = project.verify("ingest").problems
    assert problem.place.endswith(".dir")


def test_a_link_of_another_kind_is_named(project, tmp_path):
    """DVC follows a link wherever it leads, and finds the right bytes there today."""
    path, elsewhere = project.folder / NODE, tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    (problem,) = project.verify("ingest").problems
    assert f"{NODE} of data/raw is a link to {elsewhere}" in str(problem)
    path.unlink()
    path.symlink_to(project.folder / "nothing")
    (problem,) = project.verify("ingest").problems
    assert (problem.place, problem.missing) == (NODE, True)


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_what_is_written_through_a_link_is_found_in_both_places_and_a_link_is_read_once(project, kind):
    project.dvc("config", "--local", "cache.type", kind)
    project.dvc("checkout", "--relink")
    whole = project.verify("ingest")
    assert whole.problems == []
    listing, report = project.listing("data/raw"), project.folder / "reports/ingest.json"
    files = [*(project.folder / "data/raw/rack").iterdir(), listing, report]
    assert whole.bytes == sum(path.stat().st_size for path in files)
    damage(project.folder / NODE)
    found = [problem.place for problem in project.verify("ingest").problems]
    assert found[0] == NODE
    assert found[1].startswith(".dvc/cache/")


def test_a_target_means_a_stage_an_output_or_a_folder_of_them_and_nothing_else(project):
    damage(project.folder / NODE)
    for target in ("ingest", "data/raw", "data", NODE, str(project.folder / "data/raw")):
        assert [problem.place for problem in project.verify(target).problems] == [NODE], target
    assert project.verify("train", "reports").problems == []
    with pytest.raises(InputError, match=r"'nothing' is no stage or output on record; on record are .*ingest, train"):
        project.verify("nothing")


def test_without_a_record_nothing_passes(project, tmp_path, monkeypatch):
    for path in ("dvc.lock", "data/external/site.csv.dvc"):
        (project.folder / path).unlink()
    with pytest.raises(InputError, match=r"nothing on record here.*run `dvc repro` first"):
        project.verify()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="holds no DVC project"):
        kept.verifying.verify([], project.settings(), remote=None)


@pytest.mark.parametrize("lock", ["{", "stages: 3\n", "<<<<<<< ours\nstages: {}\n"])
def test_a_lock_that_is_none_is_one_line(project, lock):
    tiny.write(project.folder, "dvc.lock", lock)
    with pytest.raises(InputError, match=r"dvc\.lock"):
        project.verify()


def test_a_record_of_dvc_2_is_refused_by_name(project):
    """It hashed texts otherwise, so that its MD5 is not that of the bytes."""
    text = project.clone.text("dvc.lock").replace("      hash: md5\n", "")
    tiny.write(project.folder, "dvc.lock", text)
    with pytest.raises(InputError, match=r"is on record by md5-dos2unix .*dvc cache migrate"):
        project.verify()


def test_the_command_line_exits_with_1_and_one_line_for_each_problem(project):
    damage(project.cached(NODE))
    command = [sys.executable, "-m", "wattline", "data", "verify", "ingest"]
    done = subprocess.run(
        command, cwd=project.folder, env=project.clone.environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    problem, last = done.stdout.splitlines()
    assert f"of {NODE} has MD5 " in problem
    assert last.endswith("1 wrong")
