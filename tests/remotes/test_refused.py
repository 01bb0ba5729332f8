"""A stage does not begin with bytes that are not those of the stage before it, and register does not take them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from gitlab import tiny

from remotes import kept
from remotes.kept import damage
from wattline import stages
from wattline.errors import InputError, IntegrityError
from wattline.hpc import handover, running
from wattline.registry import lineage
from wattline.settings import settings

# What DVC uses is going to change, says what it uses.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NODE = "data/raw/rack/node-2"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def inside(project, monkeypatch):
    """The project as the current folder."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("WATTLINE_STATE", str(project.folder / ".wattline"))
    monkeypatch.delenv("DVC_STAGE", raising=False)
    settings.cache_clear()
    yield project
    settings.cache_clear()


def run(stage: str, monkeypatch: pytest.MonkeyPatch, does=lambda: None) -> None:
    """`wattline run STAGE` with other work than that of a real stage."""
    with monkeypatch.context() as patched:
        patched.setattr(stages, "run", lambda _: does())
        running.run(stage, "local", say=str)


def test_a_stage_with_sound_inputs_runs(inside, monkeypatch):
    ran = []
    run("train", monkeypatch, lambda: ran.append("train"))
    assert ran == ["train"]


@pytest.mark.parametrize(
    ("path", "by"), [(NODE, "ingest"), ("data/external/site.csv", r"data/external/site\.csv\.dvc")]
)
def test_a_stage_with_a_damaged_input_does_not_run(inside, monkeypatch, path, by):
    damage(inside.folder / path)
    ran = []
    with pytest.raises(IntegrityError, match=rf"which train reads, is not what {by} has on record .*data verify {by}`"):
        run("train", monkeypatch, lambda: ran.append("train"))
    assert ran == []


def test_no_job_is_submitted_for_a_damaged_input(inside):
    profile = {"description": "a cluster", "scheduler": "slurm", "stages": ["train"]}
    tiny.write(inside.folder, "deploy/sites/far.yaml", yaml.safe_dump(profile))
    damage(inside.folder / NODE)
    with pytest.raises(IntegrityError, match="train did not run"):
        running.run("train", "far", say=str)
    assert not (inside.folder / "reports/jobs").exists()


def test_files_that_dvcignore_names_and_links_into_the_cache_are_no_damage(inside, monkeypatch):
    inside.dvc("config", "--local", "cache.type", "symlink")
    inside.dvc("checkout", "--relink")
    tiny.write(inside.folder, "data/raw/.rows.swp", "an editor's")
    run("train", monkeypatch)


def test_inputs_that_changed_as_they_should_do_not_stop_dvc(inside):
    """The new rows are what `ingest` has on record by then, though not what `train` read last time."""
    for path in ("data/raw", "models/candidate"):
        assert (inside.folder / path).exists()
    text = inside.clone.text("dvc.yaml").replace("rows of", "new rows of")
    check = f"{sys.executable} -c \"from wattline.hpc import handover; handover.check('train')\""
    tiny.write(
        inside.folder, "dvc.yaml", text.replace("    cmd: mkdir -p models", f"    cmd: {check} && mkdir -p models")
    )
    inside.dvc("repro", "--quiet")
    assert "new rows of 2" in inside.clone.text("models/candidate")


def test_what_a_stage_made_without_dvc_may_be_read_and_damage_to_that_is_found(inside, monkeypatch):
    """`wattline run ingest`, with other knobs, then `wattline run train`: dvc.lock knows nothing of it."""
    run("ingest", monkeypatch, lambda: (inside.folder / NODE).write_text("made by hand"))
    run("train", monkeypatch)
    damage(inside.folder / NODE)
    with pytest.raises(IntegrityError, match="train did not run"):
        run("train", monkeypatch)
    inside.dvc("checkout", "--force", "data/raw")
    run("ingest", monkeypatch)
    assert not list((inside.folder / ".wattline/by_hand").iterdir())


def test_under_dvc_nothing_but_its_own_record_counts(inside, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "ingest")
    settings.cache_clear()
    run("ingest", monkeypatch, lambda: (inside.folder / NODE).write_text("other"))
    with pytest.raises(IntegrityError, match="train did not run"):
        run("train", monkeypatch)


@pytest.mark.parametrize("content", ["{", "stages: [1]\n", "stages: {ingest: 3}\n"])
def test_a_lock_that_is_none_is_one_line(inside, content):
    tiny.write(inside.folder, "dvc.lock", content)
    with pytest.raises(InputError, match=r"dvc\.lock (cannot be read|is no lock of DVC).*from git again"):
        handover.check("train")


def test_without_any_record_a_stage_runs(inside, monkeypatch):
    (inside.folder / "dvc.lock").unlink()
    damage(inside.folder / NODE)
    run("train", monkeypatch)


def test_register_holds_candidate_and_data_against_the_lock(inside):
    lineage.check()
    damage(inside.folder / "models/candidate")
    with pytest.raises(IntegrityError, match=r"models/candidate is not what dvc\.lock says that train made"):
        lineage.check()


@pytest.mark.parametrize("path", [NODE, "reports/ingest.json"])
def test_register_holds_what_the_candidate_was_made_from_against_the_lock(inside, path):
    damage(inside.folder / path)
    with pytest.raises(IntegrityError, match=r"is not what dvc\.lock says that ingest made"):
        lineage.check()


def test_register_refuses_a_lock_of_two_runs(inside):
    """`train` read other rows than `ingest` wrote: nobody could make this candidate again."""
    lock = yaml.safe_load(inside.clone.text("dvc.lock"))
    (rows,) = [dep for dep in lock["stages"]["train"]["deps"] if dep["path"] == "data/raw"]
    rows["md5"] = "0" * 32 + ".dir"
    tiny.write(inside.folder, "dvc.lock", yaml.safe_dump(lock))
    with pytest.raises(IntegrityError, match=r"dvc\.lock does not fit together: train read data/raw with MD5 0000"):
        lineage.check()


def test_two_dvc_at_once_are_one_sentence_and_both_records_stay(inside):
    """`wattline push` while `dvc repro` works in the same clone."""
    tiny.write(inside.folder, "source.txt", "other rows\n")
    text = inside.clone.text("dvc.yaml").replace("- mkdir -p data/raw", "- cat go && mkdir -p data/raw")
    tiny.write(inside.folder, "dvc.yaml", text)
    os.mkfifo(inside.folder / "go")
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    with subprocess.Popen(command, env=inside.clone.environment()) as first:
        # Opened for writing as soon as the stage reads: DVC has begun.
        with (inside.folder / "go").open("w"):
            second = subprocess.run(
                command, env=inside.clone.environment(), capture_output=True, text=True, check=False
            )
        assert first.wait() == 0
    assert second.returncode != 0
    assert inside.verify().problems == []
    inside.push()


def test_a_disk_that_is_full_while_dvc_caches_leaves_what_was_stored(inside):
    """No file may grow beyond a kilobyte, by the limit that the system enforces."""
    before = {path: path.read_bytes() for path in (inside.folder / ".dvc/cache/files").rglob("*") if path.is_file()}
    lock = inside.clone.text("dvc.lock")
    (inside.folder / "data/external/site.csv").unlink()
    (inside.folder / "data/external/site.csv").write_bytes(os.urandom(1 << 20))
    limited = f"ulimit -f 8; exec {sys.executable} -m dvc add --quiet data/external/site.csv"
    done = subprocess.run(["bash", "-c", limited], env=inside.clone.environment(), capture_output=True, check=False)
    assert done.returncode != 0
    assert {path: path.read_bytes() for path in before} == before
    assert inside.clone.text("dvc.lock") == lock
    assert [problem.place for problem in inside.verify().problems] == ["data/external/site.csv"]
    (inside.folder / "data/external/site.csv").unlink()
    inside.dvc("checkout", "data/external/site.csv")
    assert inside.verify().problems == []


@pytest.mark.slow
def test_dvc_repro_stops_at_the_stage_that_would_read_what_a_damaged_cache_gave_back(tmp_path):
    """The real pipeline: DVC restores the rows of the simulator, wrong as they are, and says nothing."""
    folder = tmp_path / "project"
    for part in ("src", "champion"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("dvc.yaml", ".dvcignore", ".gitignore", "data/external/.gitignore", "data/snapshots/newest.json"):
        if (ROOT / part).exists():
            tiny.write(folder, part, (ROOT / part).read_text())
    knobs = yaml.safe_load((ROOT / "params.yaml").read_text())
    small = {"source": "simulator", "options": {"simulator": {"nodes": 2, "nodes_per_rack": 1, "days": 1}}}
    knobs[knobs["task"]["name"]]["ingest"] = small
    tiny.write(folder, "params.yaml", yaml.safe_dump(knobs, sort_keys=False))
    (folder / "data/external").mkdir(parents=True, exist_ok=True)
    (folder / "reports").mkdir(exist_ok=True)
    project = kept.Project(tiny.project(folder, remote=None, files={}))
    environment = project.clone.environment(PYTHONPATH=str(folder / "src"))

    def repro(stage: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "dvc", "repro", stage]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert repro("ingest")[0] == 0
    rows = sorted((folder / "data/raw").glob("*.parquet"))[0].relative_to(folder)
    damage(project.cached(str(rows)))
    shutil.rmtree(folder / "data/raw")
    code, said = repro("profile")
    assert code != 0
    assert "data/raw, which profile reads, is not what ingest has on record" in said
    assert not (folder / "reports/profile.json").exists()
    assert project.verify("ingest").problems[0].place == str(rows)
