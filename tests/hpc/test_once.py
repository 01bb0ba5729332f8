"""What would make two of one job, end a stranger's, or take another result for a job's own."""

import json
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import yaml

from hpc.cluster import Cluster
from hpc.project import ROOT, Project, count, written
from wattline import files
from wattline.errors import InputError, SupersededError
from wattline.hpc import desk, following, made, record, running, work
from wattline.hpc.orders import folder_of
from wattline.hpc.record import Job
from wattline.hpc.scheduler import Look, State
from wattline.settings import Settings

PIPELINE = "stages: {prepare: {cmd: wattline run prepare, deps: [input.csv], outs: [data/prepared]}}"


@pytest.fixture
def project(metered: Cluster, tmp_path: Path) -> Iterator[Project]:
    with written(tmp_path / "project", metered) as found:
        yield found


def test_an_sbatch_that_is_killed_after_it_handed_in_the_job_is_no_refusal(project: Project, tmp_path: Path):
    real = shutil.which("sbatch", path=project.cluster.environment["PATH"])
    program = tmp_path / "programs" / "sbatch"
    program.parent.mkdir()
    program.write_text(f'#!/bin/bash\n{real} "$@" > /dev/null; kill -9 $$\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    done = project.submit("killed", count("killed"), path=f"{program.parent}:{project.environment()['PATH']}")
    assert done.ends() == 0, done.said
    assert "sbatch was ended by signal 9" in done.said
    assert project.runs("killed") == 1


def test_a_number_that_was_given_to_another_job_is_not_cancelled(project: Project):
    other = project.cluster.submit("-wn1", "--mem=100", script="sleep 600")
    assert project.submit("mine", "exit 4").ends() == 4
    path = project.folder / "reports" / "jobs" / "mine" / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"job": other, "collected": False, "token": "00ff00ff"}))
    done = project.wattline("run", "mine", "--cancel")
    assert (done.ends(), "neither controller nor accounting knows" in done.said) == (1, True), done.said
    assert project.cluster.details(other)["JobState"] in ("PENDING", "RUNNING")
    project.cluster.run("scancel", other)


def test_a_job_whose_inputs_were_changed_while_it_waited_makes_nothing(project: Project):
    project.profile(stages=["prepare"], flags=["--begin=now+1hour"])
    (project.folder / "dvc.yaml").write_text(PIPELINE)
    (project.folder / "input.csv").write_text("of then\n")
    done = project.wattline("run", "prepare", "--site", "test")
    done.says("submitted job")
    (project.folder / "input.csv").write_text("of now\n")
    project.cluster.run("scontrol", "update", f"jobid={project.record('prepare')['job']}", "StartTime=now")
    assert done.ends() == 2, done.said
    assert "were changed after its job was submitted" in done.said
    keep = "reports/jobs/prepare/made/0123456789ab"
    stray = project.start(sys.executable, "-m", "wattline", "run", "prepare", "--site", "local", "--keep", keep)
    assert (stray.ends(), "is not the one of" in stray.said) == (4, True), stray.said


class Done:
    """A scheduler that has seen job 7 end well."""

    name = "slurm"

    def look(self, job: str) -> Look:
        return Look(job=job, name="wattline-prepare-0a", state=State.COMPLETED, exit_code=0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose job of prepare has ended, and that nobody has collected."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    files.write_text(Path("dvc.yaml"), PIPELINE)
    files.write_text(Path("input.csv"), "rows")
    site = {"description": "a site", "scheduler": "slurm", "stages": ["prepare"]}
    files.write_text(Path("deploy/sites/test.yaml"), yaml.safe_dump(site))
    files.write_text(files.PREPARED / "rows", "what the job made")
    monkeypatch.setattr(desk, "scheduler_of", lambda _: Done())
    folder = folder_of("prepare")
    record.write(
        folder, Job(stage="prepare", site="test", token="0a", key=work.of_stage("prepare", "test").key, job="7")
    )
    made.keep([files.PREPARED], folder / "made" / "0a")
    shutil.rmtree(files.PREPARED)
    return folder


def test_who_dies_while_taking_over_loses_nothing(here: Path, monkeypatch: pytest.MonkeyPatch):
    def dies(folder: Path, job: Job) -> None:
        if job.collected:
            raise KeyError("as good as dead")
        files.write_text(folder / record.FILE, job.to_json())

    with monkeypatch.context() as patched:
        patched.setattr(record, "write", dies)
        with pytest.raises(KeyError, match="as good as dead"):
            running.run("prepare", "test", say=str)
    shutil.rmtree(files.PREPARED)  # as DVC does before it asks again
    running.run("prepare", "test", say=str)
    assert (files.PREPARED / "rows").read_text() == "what the job made"
    assert record.read(here).collected
    assert not (here / "made").exists()


def test_what_is_told_of_a_job_is_on_record_already(here: Path):
    found = []

    def say(line: str) -> None:
        if "is COMPLETED" in line:
            found.append(record.read(here).state)

    running.run("prepare", "test", say=say)
    assert found == [State.COMPLETED]


def test_the_exit_code_that_another_job_left_is_not_taken_for_this_ones(here: Path):
    files.write_text(here / "exit_code-0b", "0\n")
    files.write_text(here / "exit_code", "0\n")
    found, job = desk.of_former("prepare", say=str)
    assert following.by_exit_code(found.order(job.token), "7") is None
    files.write_text(here / "exit_code-0a", "3\n")
    assert following.by_exit_code(found.order(job.token), "7").exit_code == 3


@pytest.mark.parametrize(
    ("number", "outcome"), [("8", pytest.raises(SupersededError, match="job 7")), ("7", nullcontext())]
)
def test_a_second_copy_that_a_late_controller_made_ends_before_it_does_anything(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: str, outcome: AbstractContextManager[object]
):
    monkeypatch.setattr(running, "settings", lambda: Settings(SLURM_JOB_ID=number))
    with outcome:
        running.as_ordered("prepare", here / "made" / "0a")


def test_resources_of_a_stage_that_is_misspelt_are_not_ignored(here: Path):
    tree = yaml.safe_load(Path("params.yaml").read_text())
    tree["hpc"]["stages"] = {"trian": {"memory_gib": 64.0}}
    files.write_text(Path("params.yaml"), yaml.safe_dump(tree))
    with pytest.raises(InputError, match=r"hpc\.stages names 'trian', which is no stage: correct it to one of ingest"):
        running.run("prepare", "test", say=str)


@pytest.mark.parametrize("name", ["../evil", "a\nb", "a b", "$(id)", "", "-x", "a" * 60])
def test_a_name_that_is_no_word_is_no_job(here: Path, name: str):
    with pytest.raises(InputError, match="a job cannot be called"):
        running.follow(name)
    files.write_text(Path("dvc.yaml"), yaml.safe_dump({"stages": {name: {"cmd": "true"}}}))
    with pytest.raises(InputError, match="a job cannot be called"):
        work.of_stage(name, "test")
