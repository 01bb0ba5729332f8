"""A training on a real Slurm, interrupted in every way there is, ends in the weights of an undisturbed one."""

import contextlib
import csv
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from hpc.cluster import SECONDS, Cluster, cluster
from hpc.orders import order, profile
from wattline import files, params
from wattline.hpc import script
from wattline.hpc.scheduler import Order
from wattline.params import IngestParams, PrepareParams
from wattline.records import TrainingEnergy
from wattline.stages import ingest, prepare

ROOT = Path(__file__).parents[2]
STEPS = 24
MODULES = f"{ROOT / 'src'}:{ROOT / 'tests'}"
URGENT = (
    "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\nPartitionName=urgent Nodes=ALL MaxTime=5 PriorityTier=9"
)
LIMITED = "n4"
"""Where the job is that runs into its time limit, which takes longer than all others together."""


@pytest.fixture(scope="module")
def slurm(slurm_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four nodes, and a partition whose jobs have others requeued."""
    with cluster(tmp_path_factory.mktemp("resume"), nodes=4, EXTRA=URGENT) as found:
        yield found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `prepare`, with a checkpoint after every step. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("prepared")
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = tree.pop("node_anomaly") | {"train": {"steps": STEPS}, "presets": {}, "bakeoff": None}
    tree.pop("node_power")
    tree["hpc"]["checkpoint_minutes"] = 1e-9
    tree |= {"task": {"name": "descent", "folder": str(ROOT / "tests" / "hpc" / "descent")}, "descent": block}
    (folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    with contextlib.chdir(folder):
        simulated = {"nodes": 3, "nodes_per_rack": 2, "days": 0.4}
        ingest.run(ingest=IngestParams(source="simulator", options={"simulator": simulated}), seed=7)
        task = params.load_task(params.load().task)
        prepare.run(prepare=PrepareParams(validation_fraction=0.25, test_fraction=0.4, minimum_rows=50), task=task)
    return folder


@dataclass(frozen=True)
class Work:
    """A training as a job, in a project of its own."""

    slurm: Cluster
    project: Path

    def order(self, *flags: str, holds: str = "", notice_seconds: int = 60, minutes: int = 10) -> Order:
        command = [sys.executable, "-m", "wattline", "run", "train", "--site", "local"]
        site = profile(flags=flags, variables={"PYTHONPATH": MODULES, "HOLDS": holds})
        return order(self.project, command, site, params={"notice_seconds": notice_seconds}, minutes=minutes)

    def submit(self, wanted: Order) -> str:
        """Hand in what `wattline run` would."""
        files.write_text(wanted.script, script.slurm(wanted))
        return self.slurm.run("sbatch", "--parsable", str(wanted.script)).strip()

    def held(self, attempt: int) -> str:
        """The node on which an attempt waits, once it does."""
        return self.written(f"held-{attempt}")

    def told(self, attempt: int) -> str:
        """Why an attempt ended, once it did. What it printed may be lost, when its srun was ended first."""
        return self.written(f"told-{attempt}")

    def written(self, name: str) -> str:
        place = self.project / name
        until(place.exists, f"no process wrote {name}", self)
        return place.read_text()

    def release(self, attempt: int) -> None:
        (self.project / f"release-{attempt}").touch()

    def restarted(self, job: str, times: int) -> None:
        until(lambda: self.slurm.details(job)["Restarts"] == str(times), f"job {job} did not begin again", self)

    def output(self) -> str:
        """What its jobs said."""
        log = self.order().log
        return log.read_text() if log.exists() else "nothing"

    def exit_code(self) -> str:
        """What who submitted is told."""
        return self.order().exit_code.read_text()

    def made(self) -> tuple[dict[str, str], bytes, bytes]:
        reports = self.project / "reports"
        candidate = files.digests(self.project / "models" / "candidate")
        return candidate, (reports / "train.json").read_bytes(), (reports / "train" / "curves.csv").read_bytes()

    def attempts(self) -> list[bool]:
        """Whether each came to the end, by the account of the energy."""
        energy = TrainingEnergy.from_json((self.project / "reports" / "train_energy.json").read_bytes())
        return [attempt.finished for attempt in energy.attempts]

    def runs(self) -> int:
        """What MLflow is sent."""
        return len(list((self.project / ".wattline" / "offline").glob("*.json")))


def until(holds: Callable[[], bool], otherwise: str, work: Work) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{otherwise}:\n{work.output()}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def make(slurm: Cluster, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Work]:
    def make() -> Work:
        project = tmp_path_factory.mktemp("work") / "project"
        shutil.copytree(prepared, project)
        return Work(slurm, project)

    return make


@pytest.fixture
def work(make: Callable[[], Work]) -> Work:
    return make()


@pytest.fixture
def broken(slurm: Cluster) -> Iterator[list[str]]:
    """Nodes that a test breaks or drains: afterwards they work again."""
    nodes: list[str] = []
    yield nodes
    for node in nodes:
        slurm.script("node-kill", node)
        slurm.script("node-start", node)
    deadline = time.monotonic() + SECONDS
    while any(f"{node} idle" not in slurm.run("sinfo", "-h", "-N", "-o", "%N %T") for node in nodes):
        assert time.monotonic() < deadline, slurm.run("sinfo", "-N", "-l")
        for node in nodes:
            slurm.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        time.sleep(0.5)


@pytest.fixture(scope="module")
def undisturbed(make: Callable[[], Work]) -> Work:
    """What a process makes that no scheduler knows of."""
    work = make()
    environment = {
        **work.slurm.environment,
        "PYTHONPATH": MODULES,
        "WATTLINE_OFFLINE": "1",
        "WATTLINE_STATE": ".wattline",
    }
    command = [sys.executable, "-m", "wattline", "run", "train"]
    subprocess.run(command, cwd=work.project, env=environment, check=True, timeout=SECONDS)
    return work


@pytest.fixture(scope="module", autouse=True)
def limited(make: Callable[[], Work]) -> tuple[Work, str]:
    """A job of two minutes that is told 20 to 80 s before: it works while the other tests do."""
    work = make()
    wanted = work.order(f"--nodelist={LIMITED}", holds=str(STEPS // 2), notice_seconds=20, minutes=2)
    return work, work.submit(wanted)


def same(work: Work, undisturbed: Work, *, attempts: int) -> None:
    """It came to the same bytes, as one run with one curve, and the work of every attempt counts."""
    assert work.made() == undisturbed.made()
    with (work.project / "reports" / "train" / "curves.csv").open() as stream:
        assert [row["epoch"] for row in csv.DictReader(stream)] == [str(step) for step in range(STEPS)]
    assert work.runs() == 1
    assert work.attempts() == [False] * (attempts - 1) + [True]


ELSEWHERE = f"--exclude={LIMITED}"


def test_three_requeues_on_different_nodes(slurm: Cluster, work: Work, undisturbed: Work, broken: list[str]):
    """By the notice of a time limit, by a job that is more urgent, and by the loss of a node."""
    job = work.submit(work.order(ELSEWHERE, holds="5,10,15"))
    first = work.held(0)
    broken.append(first)
    slurm.run("scontrol", "update", f"nodename={first}", "state=drain", "reason=test")
    slurm.run("scancel", "--signal=USR1", job)
    work.restarted(job, 1)

    second = work.held(1)
    urgent = slurm.submit("--partition=urgent", f"--nodelist={second}", "--exclusive", script="sleep 600")
    work.restarted(job, 2)
    slurm.wait(urgent, "RUNNING")

    third = work.held(2)
    broken.append(third)
    slurm.script("node-kill", third)
    slurm.run("scontrol", "update", f"nodename={third}", "state=down", "reason=test")
    work.restarted(job, 3)
    slurm.run("scancel", urgent)
    assert slurm.wait(job)["JobState"] == "COMPLETED", work.output()
    assert len({first, second, third}) == 3
    assert work.told(0) == "paused; step 6 is kept; start the training again and it goes on from there"
    assert work.told(1).startswith("ended by SIGTERM; step 11 is kept")
    assert work.exit_code() == "0\n"
    same(work, undisturbed, attempts=4)


def test_a_training_that_lives_on_without_its_slurmd_never_writes_over_its_second_copy(
    slurm: Cluster, work: Work, undisturbed: Work, broken: list[str]
):
    job = work.submit(work.order(ELSEWHERE, holds="5,10"))
    lost = work.held(0)
    broken.append(lost)
    slurm.script("slurmd-kill", lost)
    slurm.run("scontrol", "update", f"nodename={lost}", "state=down", "reason=test")
    assert work.held(1) != lost
    (attempts,) = work.project.glob(".wattline/checkpoints/*/attempt-0001")
    kept = files.digests(attempts.parent / "attempt-0002")
    work.release(0)
    assert "attempt-0001 is superseded by attempt 2" in work.told(0)
    assert files.digests(attempts.parent / "attempt-0002") == kept
    work.release(1)
    assert slurm.wait(job)["JobState"] == "COMPLETED", work.output()
    assert work.exit_code() == "0\n"
    same(work, undisturbed, attempts=2)


def test_one_that_was_cancelled_keeps_what_it_has_and_does_not_come_back(slurm: Cluster, work: Work, undisturbed: Work):
    job = work.submit(work.order(ELSEWHERE, holds="5"))
    node = work.held(0)
    slurm.run("scancel", job)
    slurm.wait(job, "CANCELLED")
    assert work.told(0).startswith("ended by SIGTERM; step 6 is kept")
    until(lambda: "idle" in slurm.run("sinfo", "-h", "-n", node, "-o", "%T"), "the script did not end", work)
    details = slurm.details(job)
    assert (details["JobState"], details["Restarts"]) == ("CANCELLED", "0")
    assert slurm.wait(work.submit(work.order(ELSEWHERE)))["JobState"] == "COMPLETED", work.output()
    same(work, undisturbed, attempts=2)


def test_one_that_runs_into_its_time_limit_begins_again_by_itself(
    slurm: Cluster, limited: tuple[Work, str], undisturbed: Work
):
    work, job = limited
    assert work.held(0) == LIMITED
    work.restarted(job, 1)
    details = slurm.wait(job)
    assert (details["JobState"], details["Restarts"]) == ("COMPLETED", "1"), work.output()
    assert work.told(0).startswith(f"paused; step {STEPS // 2 + 1} is kept")
    same(work, undisturbed, attempts=2)
