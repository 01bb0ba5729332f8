"""A stage as a job of a real Slurm: once, whatever happens to who submitted it, and with an outcome to be believed."""

import json
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline import test_pipeline
from pipeline.test_pipeline import Clone, ran

from hpc.cluster import SECONDS, Cluster, cluster
from hpc.project import RESOURCES, Project, Submitter, count, profile, written

WATTS = 25.0
origin = test_pipeline.origin  # a fixture: the working tree, and a pipeline of a minute


@pytest.fixture
def project(metered: Cluster, tmp_path: Path) -> Iterator[Project]:
    with written(tmp_path / "project", metered) as found:
        yield found


@pytest.fixture(scope="module")
def slow(metered: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Two jobs that take their time while other tests run: one of known power in two attempts, one over its limit."""
    found = Project(tmp_path_factory.mktemp("slow"), metered)
    resources = RESOURCES | {"exclusive": True, "memory_gib": 1.0}
    found.write(resources=resources, energy="slurm", flags=["--nodelist=n2"])
    counted = f"cat {metered.folder / 'counter-n2' / 'energy1_input'} >> microjoules"
    script = f"{count('power')} {counted}; sleep 30; {counted}; [ $SLURM_RESTART_COUNT ] || exit 75"
    power = found.submit("power", script)
    power.says("is RUNNING on n2")
    found.profile(resources=RESOURCES | {"minutes": 1}, energy="slurm")
    limit = found.submit("limit", "trap '' USR1 TERM; for _ in {1..300}; do sleep 1; done")
    yield {"project": found, "power": power, "limit": limit}
    found.close()


@pytest.fixture(autouse=True)
def started(slow: dict[str, Any]) -> None:
    """The slow jobs run from the first test on."""


def queued(found: Cluster, name: str) -> list[str]:
    """Numbers of all jobs of a name's that Slurm still knows."""
    rows = found.run("squeue", "-h", "-t", "all", "-o", "%A %j").splitlines()
    return [row.split()[0] for row in rows if row.split()[1].startswith(f"wattline-{name}-")]


def ended(found: Cluster, job: str) -> str:
    return found.wait(job)["JobState"]


class TestOnce:
    """The same work is never submitted twice."""

    def test_two_who_come_at_once_are_served_by_one_job(self, project: Project):
        script = count("both") + "sleep 2; echo 'hello from the job'"
        both = [project.submit("both", script) for _ in range(2)]
        assert [one.ends() for one in both] == [0, 0], both[0].said + both[1].said
        assert all("hello from the job" in one.said for one in both)
        assert project.runs("both") == len(queued(project.cluster, "both")) == 1

    def test_a_submitter_that_is_killed_at_any_step_leaves_at_most_one_job(self, project: Project, tmp_path: Path):
        """Before sbatch, after it, and while an sbatch without a parent still tries."""
        real = shutil.which("sbatch", path=project.cluster.environment["PATH"])
        scripts = {
            "before": "kill -9 $PPID",
            "after": f'job=$({real} "$@"); kill -9 $PPID; echo "$job"',
            "meanwhile": f'kill -9 $PPID; sleep 3; exec {real} "$@"',
        }
        first = {}
        for name, script in scripts.items():
            program = tmp_path / name / "sbatch"
            program.parent.mkdir()
            program.write_text(f"#!/bin/bash\n{script}\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            path = f"{program.parent}:{project.environment()['PATH']}"
            first[name] = project.submit(name, count(name) + "sleep 1", path=path)
        assert {one.ends() for one in first.values()} == {-signal.SIGKILL}
        assert all(project.record(name)["job"] is None for name in scripts)
        second = {name: project.submit(name, count(name) + "sleep 1") for name in scripts}
        assert {name: one.ends() for name, one in second.items()} == dict.fromkeys(scripts, 0)
        assert {name: project.runs(name) for name in scripts} == dict.fromkeys(scripts, 1)
        assert "submitted job" in second["before"].said
        assert "submitted job" not in second["after"].said + second["meanwhile"].said

    def test_a_dead_terminal_leaves_the_job_alone_and_it_can_be_attached_to(self, project: Project):
        script = count("long") + "until [ -e go ]; do sleep 0.2; done; echo done at last"
        first = project.submit("long", script)
        first.says("is RUNNING")
        assert first.send(signal.SIGHUP) == -signal.SIGHUP
        other = project.submit("long", "echo something else")
        assert other.ends() == 1
        assert "is under way with other inputs, parameters or site" in other.said
        attached = project.wattline("run", "long", "--attach")
        attached.says("is RUNNING")
        (project.folder / "go").touch()
        assert attached.ends() == 0, attached.said
        assert "done at last" in attached.said
        again = project.submit("long", script)
        assert again.ends() == 0
        assert "has done this while nobody looked" in again.said
        assert project.runs("long") == 1
        nothing = project.wattline("run", "long", "--attach")
        assert nothing.ends() == 2
        assert "there is no job of long" in nothing.said

    def test_an_array_is_one_job_that_ends_with_its_last_task(self, project: Project):
        done = project.submit("array", "echo x > $SLURM_ARRAY_TASK_ID.task; exit $((SLURM_ARRAY_TASK_ID - 1))", "1-2%1")
        assert done.ends() == 1, done.said
        assert sorted(path.name for path in project.folder.glob("*.task")) == ["1.task", "2.task"]
        assert project.record("array")["state"] == "FAILED"

    def test_a_number_that_was_given_to_another_job_is_not_taken_for_ours(self, project: Project):
        other = project.cluster.submit("-wn1", "--mem=100", script="true")
        assert project.submit("mine", "exit 4").ends() == 4
        path = project.folder / "reports" / "jobs" / "mine" / "job.json"
        recycled = json.loads(path.read_text()) | {"job": other, "collected": False, "token": "00ff00ff00ff"}
        path.write_text(json.dumps(recycled))
        next(path.parent.glob("exit_code-????????????")).unlink()
        again = project.submit("mine", "exit 5")
        assert again.ends() == 5
        assert f"job {other} of before is not known any more" in again.said


class TestEnd:
    """How a job ended is told by its state, as a sentence with what to do."""

    def test_the_exit_code_is_that_of_the_stage(self, project: Project):
        done = project.submit("three", "echo 'wattline: the gate says no' >&2; exit 3")
        assert done.ends() == 3
        last = done.said.splitlines()[-1]
        assert last.startswith("wattline: job ")
        assert "ended with exit code 3: the gate says no; all that it said is in " in last
        assert project.record("three")["state"] == "FAILED"
        assert "Traceback" not in done.said

    def test_a_cancelled_job_says_by_whom_and_is_no_success(self, project: Project):
        done = project.submit("gone", "sleep 600")
        done.says("is RUNNING")
        project.cluster.run("scancel", project.record("gone")["job"])
        assert done.ends() == 1
        assert "was cancelled by user" in done.said

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    def test_a_submitter_that_is_told_to_end_cancels_its_job(self, project: Project, number: signal.Signals, code: int):
        done = project.submit("ended", "sleep 600")
        done.says("is RUNNING")
        job = project.record("ended")["job"]
        assert done.send(number) == code, done.said
        assert ended(project.cluster, job) == "CANCELLED"
        assert f"cancelling job {job}" in done.said
        assert project.record("ended")["collected"]

    def test_the_command_line_cancels_too(self, project: Project):
        first = project.submit("wanted", "sleep 600")
        first.says("is RUNNING")
        first.send(signal.SIGHUP)
        job = project.record("wanted")["job"]
        assert project.wattline("run", "wanted", "--cancel").ends() == 0
        assert ended(project.cluster, job) == "CANCELLED"

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"partition": "gold"}, "correct `partition` in the site's profile"),
            (
                {"resources": RESOURCES | {"nodes": 9}},
                "would wait for ever (PartitionConfig): ask for less in hpc.stages",
            ),
            ({"resources": RESOURCES | {"memory_gib": 900.0}}, "Slurm refuses the job"),
        ],
    )
    def test_what_slurm_refuses_is_bad_input_with_the_remedy(self, project: Project, changes: Any, sentence: str):
        project.profile(**changes)
        done = project.submit("refused", "true")
        assert done.ends() == 2
        assert sentence in done.said
        assert "Traceback" not in done.said
        assert project.record("refused")["collected"]

    def test_without_slurm_here_it_says_so(self, project: Project):
        done = project.submit("nowhere", "true", path="/nowhere")
        assert done.ends() == 2
        assert "there is no sbatch on PATH here; load the module" in done.said

    def test_a_full_disk_leaves_no_job_and_nothing_by_half(self, project: Project):
        project.profile(stages=["prepare"])
        before = queued(project.cluster, "prepare")
        limited = f"ulimit -f 0; exec {sys.executable} -m wattline run prepare --site test | cat"
        (project.folder / "dvc.yaml").write_text(
            "stages: {prepare: {cmd: wattline run prepare, outs: [data/prepared]}}"
        )
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", limited],
            cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "look at the disk" in done.stderr
        assert set(queued(project.cluster, "prepare")) <= set(before)
        assert not (project.folder / "reports" / "jobs" / "prepare" / "job.json").exists()


@pytest.fixture(scope="module")
def plain(slurm_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes without accounting."""
    with cluster(tmp_path_factory.mktemp("plain"), MESSAGE_SECONDS="3") as found:
        yield found


@pytest.fixture
def here(plain: Cluster, tmp_path: Path) -> Iterator[Project]:
    with written(tmp_path / "project", plain) as found:
        yield found


class TestBrokenMachines:
    """What breaks under a job is survived, or told."""

    def test_a_controller_that_is_restarted_is_waited_for(self, here: Project):
        done = here.submit("patient", count("patient") + "until [ -e go ]; do sleep 0.2; done; exit 6")
        here.begins("patient")
        pid = int((here.cluster.folder / "run" / "slurmctld.pid").read_text())
        stop(pid)
        done.says("asking again for 100 s")
        (here.folder / "go").touch()
        here.cluster.run("slurmctld", "-f", here.cluster.environment["SLURM_CONF"])
        assert done.ends() == 6, done.said
        assert here.runs("patient") == 1

    def test_a_dead_slurmd_whose_job_lives_on_does_not_decide(self, here: Project):
        """The first copy goes on and leaves its exit code; only the second one is believed."""
        script = count("split") + "[ $SLURM_RESTART_COUNT ] || { until [ -e stale ]; do sleep 0.2; done; exit 9; }; "
        done = here.submit("split", script + "touch stale; sleep 4; echo the second copy")
        done.says("is RUNNING")
        here.begins("split")
        node = here.record("split")["nodes"][0]
        here.cluster.script("slurmd-kill", node)
        here.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=silent")
        assert done.ends() == 0, done.said
        assert "begun again" in done.said
        assert "the second copy" in done.said
        assert here.record("split")["restarts"] == 1
        here.cluster.script("node-start", node)

    def test_a_node_that_goes_down_begins_the_job_again_elsewhere(self, here: Project):
        done = here.submit("moved", count("moved") + "[ $SLURM_RESTART_COUNT ] || sleep 600; hostname")
        done.says("is RUNNING")
        here.begins("moved")
        node = here.record("moved")["nodes"][0]
        here.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        assert done.ends() == 0, done.said
        assert here.runs("moved") == 2


def stop(pid: int) -> None:
    subprocess.run(["kill", str(pid)], check=True)
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[1][:1]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


class ClusterClone(Clone):
    """A clone whose jobs go to a private cluster."""

    def __init__(self, folder: Path, found: Cluster) -> None:
        super().__init__(folder)
        self.cluster = found

    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{self.cluster.environment['PATH']}"
        return super().environment() | {"SLURM_CONF": self.cluster.environment["SLURM_CONF"], "PATH": path}

    def sites(self) -> None:
        """Write the profile, and what the stages need on these small nodes."""
        variables = {"PYTHONPATH": str(self.folder / "src"), "HOME": str(self.folder.parent)}
        tree = profile(self.folder, self.cluster, variables=variables, flags=["--nodelist=n1"])
        (self.folder / "deploy" / "sites" / "test.yaml").write_text(yaml.safe_dump(tree))
        knobs = yaml.safe_load((self.folder / "params.yaml").read_text())
        knobs["hpc"] |= {"poll_seconds": 0.5, "stages": {"train": {"memory_gib": 2.0}, "prepare": {"memory_gib": 2.0}}}
        knobs["node_anomaly"]["ingest"]["options"]["simulator"]["days"] = 1.5
        (self.folder / "params.yaml").write_text(yaml.safe_dump(knobs, sort_keys=False))

    def outputs(self) -> dict[str, str]:
        """What stages wrote, without what belongs to a job."""
        return {name: digest for name, digest in self.digests().items() if not name.startswith("reports/jobs/")}

    def job(self, stage: str) -> Any:
        return json.loads((self.folder / "reports" / "jobs" / stage / "job.json").read_text())


@pytest.fixture(scope="module")
def clone(metered: Cluster, origin: Path, tmp_path_factory: pytest.TempPathFactory) -> ClusterClone:
    """A project whose pipeline has run here, up to train."""
    found = ClusterClone(tmp_path_factory.mktemp("clone") / "project", metered)
    subprocess.run(["git", "clone", "--quiet", origin, found.folder], check=True)
    found.sites()
    code, said = found.run("dvc", "repro", "train")
    assert code == 0, said
    return found


@pytest.mark.slow
class TestPipeline:
    """`dvc repro` with stages as jobs."""

    def test_stages_as_jobs_give_the_same_bytes_and_then_nothing_runs_again(self, clone: ClusterClone):
        before = clone.outputs()
        forced = ("--force", "--single-item", "prepare", "train")
        code, said = clone.run("env", "WATTLINE_SITE=test", "dvc", "repro", *forced)
        assert code == 0, said
        assert said.count("submitted job") == 2
        assert clone.outputs() == before
        assert clone.job("prepare")["state"] == clone.job("train")["state"] == "COMPLETED"
        code, said = clone.run("env", "WATTLINE_SITE=test", "dvc", "repro", "train")
        assert code == 0, said
        assert ran(said) == []

    def test_a_training_without_a_network_was_sent_by_who_submitted(self, clone: ClusterClone):
        assert len(list((clone.folder / ".wattline" / "offline" / "sent").glob("*.json"))) == 1
        assert clone.run("wattline", "sync")[1].strip() == "synced: 0 trainings"

    def test_what_a_job_made_while_nobody_looked_survives_that_dvc_removes_it(self, clone: ClusterClone):
        before = clone.outputs()
        process = clone.start("wattline", "run", "prepare", "--site", "test")
        assert process.stdout is not None
        assert any("is RUNNING" in line for line in process.stdout)
        process.kill()
        process.communicate()
        assert ended(clone.cluster, clone.job("prepare")["job"]) == "COMPLETED"
        shutil.rmtree(clone.folder / "data" / "prepared")
        (clone.folder / "reports" / "prepare.json").unlink()
        code, said = clone.run("env", "WATTLINE_SITE=test", "wattline", "run", "prepare")
        assert code == 0, said
        assert "has done this while nobody looked" in said
        assert "submitted" not in said
        assert clone.outputs() == before


class TestSlowJobs:
    """Last, as they take their time."""

    def test_energy_is_that_of_all_attempts_within_5_percent(self, slow: dict[str, Any]):
        power: Submitter = slow["power"]
        assert power.ends() == 0, power.said
        found: Project = slow["project"]
        assert found.runs("power") == 2
        record = found.record("power")
        assert record["restarts"] == 1
        energy = record["energy"]
        assert energy["provenance"] == "measured"
        # The truth lies between what the counter itself said inside the steps, and the whole steps, in whole seconds.
        first, second = zip(*[iter(map(int, (found.folder / "microjoules").read_text().split()))] * 2, strict=True)
        inside = (first[1] - first[0] + second[1] - second[0]) / 1e6
        assert inside >= 0.95 * WATTS * 2 * 30
        assert 0.95 * inside <= energy["joules"] <= 1.05 * WATTS * (energy["seconds"] + 2)

    def test_energy_of_a_shared_node_is_not_measured(self, slow: dict[str, Any], project: Project):
        project.profile(energy="slurm")
        done = project.submit("shared", "sleep 1")
        assert done.ends() == 0
        record = project.record("shared")
        assert record["energy"] is None
        assert "is on a shared node" in record["not_measured"]
        assert "is on a shared node" in done.said

    def test_a_job_over_its_time_limit_says_which_knob(self, slow: dict[str, Any]):
        limit: Submitter = slow["limit"]
        assert limit.ends() == 1
        assert "reached its time limit of 1 min; raise hpc.stages.limit.minutes" in limit.said
        assert slow["project"].record("limit")["state"] == "TIMEOUT"
