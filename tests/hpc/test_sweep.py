"""A sweep as an array of jobs of a real Slurm: exactly so many trials, whatever becomes of its jobs."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweep.conftest import ROOT, clean, hold, prepared_folder, project  # noqa: F401  # fixtures
from sweep.test_sweep import SECONDS, WATTLINE, begun, outcome, processes_of, values, wait_for, with_trials, work

from hpc.cluster import Cluster
from hpc.project import RESOURCES, profile
from wattline.errors import InputError, WattlineError
from wattline.sweep import running
from wattline.sweep.plan import Plan


@pytest.fixture
def on_slurm(
    project: Callable[..., Path],  # noqa: F811
    metered: Cluster,
    hold: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Path]]:
    """As `project`, with the private cluster as the site `test`."""
    monkeypatch.setenv("SLURM_CONF", metered.environment["SLURM_CONF"])
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{metered.environment['PATH']}")

    def into(train: dict[str, Any] | None = None, *, site: dict[str, Any] | None = None, **sweep: Any) -> Path:
        folder = project(train, **sweep)
        tree = yaml.safe_load((folder / "params.yaml").read_text())
        tree["hpc"] |= {"poll_seconds": 0.5, "patience_seconds": 100.0, "notice_seconds": 5, "stages": {}}
        (folder / "params.yaml").write_text(yaml.safe_dump(tree))
        variables = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "HOME": str(folder), "VALLEY_HOLD": str(hold)}
        path = folder / "deploy" / "sites" / "test.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(profile(folder, metered, variables=variables, **(site or {}))))
        return folder

    yield into
    metered.run("scancel", f"--user={os.getuid()}", check=False)
    wait_for(lambda: not metered.run("squeue", "-h"))


def at_work(plan: Plan) -> list[str]:
    """Names of the workers that run a trial now."""
    running_now = with_trials(plan, lambda trials: [one.user_attrs.get("worker") for one in trials.running()])
    assert isinstance(running_now, list)
    return [name for name in running_now if name]


def disturb(plan: Plan, cluster: Cluster, hold: Path, done: threading.Event) -> None:  # noqa: F811
    """Cancel one task of the first array while it trains, and kill the worker of the other one."""
    try:
        wait_for(lambda: len(at_work(plan)) == 2 or done.is_set())
        first, other = sorted(at_work(plan))
        cluster.run("scancel", first.removeprefix("job").rstrip("."))
        wait_for(lambda: killed_at_work(plan, other) or done.is_set())
    finally:
        hold.unlink()


def killed_at_work(plan: Plan, worker: str) -> bool:
    """Kill a worker, provided that it is in the middle of a trial; whether it was."""
    task = worker.rstrip(".").rpartition("_")[2]
    for pid in processes_of(plan):
        environment = b""
        with suppress(OSError):  # it has ended since it was listed
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        variables = environment.split(b"\0")
        if f"SLURM_ARRAY_TASK_ID={task}".encode() in variables and b"SLURM_STEP_ID=0" in variables:  # not srun
            os.kill(pid, signal.SIGSTOP)
            in_the_middle = worker in at_work(plan)
            os.kill(pid, signal.SIGKILL if in_the_middle else signal.SIGCONT)
            return in_the_middle
    return False


def test_an_array_that_is_cancelled_and_killed_comes_to_the_same_trials(on_slurm, metered: Cluster, hold):  # noqa: F811
    folder = on_slurm(trials=5, workers=2, heartbeat_seconds=2)
    plan = begun()
    hold.touch()
    said: list[str] = []
    done = threading.Event()
    disturber = threading.Thread(target=disturb, args=(plan, metered, hold, done))
    disturber.start()
    try:
        found = running.run(site="test", say=said.append)
    finally:
        done.set()
        disturber.join()
    assert [one.slot for one in found.trials] == list(range(5)), said
    assert {one.state for one in found.trials} == {"COMPLETE"}
    assert sum(one.attempts for one in found.trials) == 6, "a worker that is cancelled hands its trial back"
    assert sum("submitted job" in line for line in said) >= 2
    assert all(one.worker.startswith("job") for one in found.trials)
    script = (folder / "reports/jobs/sweep/job.sh").read_text()
    assert "#SBATCH --array=1-2" in script or "#SBATCH --array=1-1" in script
    assert not processes_of(plan)
    shutil.rmtree(plan.folder)
    work(begun())
    assert values(outcome(plan)) == values(found)


def test_who_comes_back_follows_the_same_array_and_takes_it_along_when_told_to_end(on_slurm, metered: Cluster, hold):  # noqa: F811
    folder = on_slurm(trials=6, workers=2)
    plan = begun()
    hold.touch()
    with (folder / "first.out").open("w") as output:
        first = subprocess.Popen([*WATTLINE, "--site", "test"], stdout=output, stderr=output)
    wait_for(lambda: at_work(plan))
    first.kill()
    first.wait()
    with (folder / "second.out").open("w") as output:
        second = subprocess.Popen([*WATTLINE, "--site", "test"], stdout=output, stderr=output)
    wait_for(lambda: "runs this study already; it is followed" in (folder / "second.out").read_text())
    second.terminate()
    assert second.wait(SECONDS) == 143, (folder / "second.out").read_text()
    # Slurm calls a job ended before its last process is.
    wait_for(lambda: not metered.run("squeue", "-h") and not processes_of(plan) and not at_work(plan))
    hold.unlink()
    work(plan)
    assert [(one.slot, one.attempts) for one in outcome(plan).trials] == [(slot, 1) for slot in range(6)]


@pytest.mark.parametrize(
    ("sweep", "site", "sentence"),
    [
        ({"trials": 1002, "workers": 1002}, {}, "Slurm refuses the job.*array.*ask for fewer workers"),
        ({}, {"resources": RESOURCES | {"tasks_per_node": 2}}, "each job of the array trains in one; set nodes and"),
        ({}, {"partition": "moon"}, "correct `partition` in the site's profile"),
    ],
)
def test_what_cannot_be_an_array_is_refused_in_a_sentence(on_slurm, monkeypatch, sweep, site, sentence):
    on_slurm(site=site, **{"trials": 2} | sweep)
    if sweep.get("workers") == 1002:
        monkeypatch.setattr(running.Trials, "fill", lambda trials: None)  # which takes a while, and is not looked at
    with pytest.raises(InputError, match=f"(?s){sentence}"):
        running.run(site="test", say=lambda line: None)


def test_an_array_whose_first_trial_fails_is_cancelled(on_slurm, metered: Cluster, hold: Path):  # noqa: F811
    hold.touch()  # no other trial ends by itself
    on_slurm({"does": "fails"}, trials=4, workers=2, space={"does": {"choices": ["nothing", "fails"]}})
    plan = begun()
    with pytest.raises(WattlineError, match=r"the first trial, with the present values, failed: ZeroDiv"):
        running.run(site="test", say=lambda line: None)
    assert not metered.run("squeue", "-h")
    assert not processes_of(plan)
