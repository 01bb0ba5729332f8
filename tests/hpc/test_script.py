"""Scripts of jobs: accepted by Slurm and bash, no way in for a command, and right in how a job ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from debian import give_up

from hpc.cluster import SECONDS, Cluster
from hpc.orders import GOLDEN, ROOT, SITES, order, profile, shipped
from wattline import sites
from wattline.errors import InputError
from wattline.hpc import script
from wattline.hpc.scheduler import Order
from wattline.settings import settings

pytestmark = pytest.mark.usefixtures("plain_environment")

SLURM_SITES = [name for name in SITES if sites.load(name, ROOT / sites.FOLDER).scheduler == "slurm"]
PAUSES = """
import os, signal, sys, time
def end(code):
    print("told", flush=True)
    sys.exit(code)
if os.environ.get("SLURM_RESTART_COUNT"):
    print("went on", os.environ["SLURM_RESTART_COUNT"])
    sys.exit(0)
signal.signal(signal.SIGUSR1, lambda *_: end(75))
signal.signal(signal.SIGTERM, lambda *_: end(143))
print("began", flush=True)
time.sleep(600)
"""


def submitted(cluster: Cluster, wanted: Order, *options: str, array: str | None = None) -> str:
    wanted.folder.mkdir(parents=True)
    wanted.script.write_text(script.slurm(wanted, array=array))
    return cluster.run("sbatch", "--parsable", *options, str(wanted.script)).strip()


def until(path: Path, text: str) -> str:
    """What is in a file as soon as it holds `text`."""
    deadline = time.monotonic() + SECONDS
    while not path.is_file() or text not in path.read_text():
        assert time.monotonic() < deadline, f"{path} never said {text!r}"
        time.sleep(0.1)
    return path.read_text()


@pytest.mark.parametrize("site", SITES)
def test_a_shipped_profile_gives_the_script_that_was_read_by_a_person(site: str):
    assert shipped(site) == (GOLDEN / f"{site}.sh").read_text(), "meant? then: cd tests && python -m hpc.orders"


@pytest.mark.parametrize("site", SITES)
def test_a_script_is_good_bash(site: str):
    subprocess.run(["bash", "-n", GOLDEN / f"{site}.sh"], check=True)
    try:
        done = subprocess.run(["shellcheck", GOLDEN / f"{site}.sh"], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        give_up("shellcheck is not installed")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("site", SLURM_SITES)
def test_slurm_would_take_the_script_of_every_profile(metered: Cluster, tmp_path: Path, site: str):
    found = sites.load(site, ROOT / sites.FOLDER).model_copy(update={"partition": "main", "qos": ""})
    for array in (None, "1-8%2"):
        path = tmp_path / "job.sh"
        path.write_text(script.slurm(order(tmp_path, ["true"], found, gpus_per_node=0, cpus_per_task=1), array=array))
        metered.run("sbatch", "--test-only", str(path))


def test_the_exit_code_of_the_stage_is_kept_and_is_the_jobs(metered: Cluster, tmp_path: Path):
    wanted = order(tmp_path, ["bash", "-c", "echo done; exit 3"])
    details = metered.wait(submitted(metered, wanted))
    assert details["ExitCode"] == "3:0"
    assert details["JobName"] == wanted.name
    assert wanted.exit_code.read_text() == "3\n"
    assert "done" in wanted.log.read_text()


def test_a_job_knows_what_it_is_told_and_nothing_of_who_submits(
    metered: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WATTLINE_DATA_MIRROR", str(tmp_path / "mirror"))
    settings.cache_clear()
    monkeypatch.setitem(metered.environment, "WATTLINE_" + "SIGNING_KEY", "of the submitter")
    site = profile(variables={"GREETING": "$WATTLINE_OFFLINE and ${OMP_NUM_THREADS}"}, proxy="http://proxy:3128")
    wanted = order(tmp_path, ["env"], site, variables={"LITERAL": "$HOME"}, cpus_per_task=2)
    metered.wait(submitted(metered, wanted))
    lines = wanted.log.read_text().splitlines()
    assert f"WATTLINE_STATE={tmp_path}/.wattline" in lines
    assert f"WATTLINE_DATA_MIRROR={tmp_path}/mirror" in lines
    assert {"OMP_NUM_THREADS=2", "WATTLINE_OFFLINE=1", "WATTLINE_SITE=test"} <= set(lines)
    assert {"GREETING=1 and 2", "LITERAL=$HOME", "MASTER_ADDR=127.0.0.1", "https_proxy=http://proxy:3128"} <= set(lines)
    assert "of the submitter" not in wanted.log.read_text()


@pytest.mark.parametrize("known", ["sqlite", "?pass" + "word=", "?api_" + "key="])
def test_the_address_of_the_tracking_server_goes_along_without_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://host/{known}hunter2x")
    settings.cache_clear()
    said = script.slurm(order(tmp_path, ["true"], profile(offline=False)))
    assert ("hunter2x" in said) == (known == "sqlite")


def test_neither_a_path_nor_a_value_can_bring_a_command_in(metered: Cluster, tmp_path: Path):
    root = tmp_path / "a \"b' % #c $(touch pwned) ü"
    root.mkdir()
    evil = '$(touch pwned) `touch pwned` "; touch pwned; " \' $1 ${x:-$(touch pwned)} \\ $SLURM_JOB_NAME'
    site = profile(variables={"EVIL": evil}, scratch="/tmp/$(touch pwned)", modules=())
    wanted = order(root, [sys.executable, "-c", "import os; print(os.environ['EVIL']); open('here', 'w')"], site)
    metered.wait(submitted(metered, wanted))
    assert evil.replace("$SLURM_JOB_NAME", wanted.name) in wanted.log.read_text()
    assert (root / "here").is_file()
    assert not list(tmp_path.rglob("pwned"))
    assert not list(Path("/tmp/$(touch pwned)").glob("wattline-*"))
    Path("/tmp/$(touch pwned)").rmdir()


def test_a_stage_that_pauses_begins_again(metered: Cluster, tmp_path: Path):
    wanted = order(tmp_path, [sys.executable, "-c", PAUSES])
    job = submitted(metered, wanted)
    until(wanted.log, "began")
    # What Slurm sends before the time limit: to the steps, and not to the script.
    metered.run("scancel", "--signal=USR1", job)
    until(wanted.log, "went on 1")
    details = metered.wait(job)
    assert (details["JobState"], details["Restarts"]) == ("COMPLETED", "1")
    assert wanted.exit_code.read_text() == "0\n"


def test_a_stage_that_knows_nothing_of_the_notice_is_not_ended_by_it(metered: Cluster, tmp_path: Path):
    waits = "echo began; for _ in $(seq 600); do [ ! -e go ] || exit 0; sleep 0.1; done; exit 1"
    wanted = order(tmp_path, ["bash", "-c", waits])
    job = submitted(metered, wanted)
    until(wanted.log, "began")
    metered.run("scancel", "--signal=USR1", job)
    (tmp_path / "go").touch()
    assert metered.wait(job)["JobState"] == "COMPLETED"


def test_what_was_cancelled_does_not_come_back(metered: Cluster, tmp_path: Path):
    wanted = order(tmp_path, [sys.executable, "-c", PAUSES])
    job = submitted(metered, wanted)
    until(wanted.log, "began")
    metered.run("scancel", job)
    until(wanted.log, "told")
    metered.wait(job)
    deadline = time.monotonic() + SECONDS
    while "idle" not in metered.run("sinfo", "-h", "-n", metered.details(job)["NodeList"], "-o", "%T"):
        assert time.monotonic() < deadline, "the script did not end"
        time.sleep(0.1)
    details = metered.details(job)
    assert (details["JobState"], details["Restarts"]) == ("CANCELLED", "0")
    assert not wanted.exit_code.exists(), "a job that was preempted is told the same, and begins again"


def test_a_stage_that_always_pauses_ends_at_the_limit(metered: Cluster, tmp_path: Path):
    wanted = order(tmp_path, ["bash", "-c", "exit 75"], params={"maximum_restarts": 0})
    details = metered.wait(submitted(metered, wanted))
    assert (details["JobState"], details["ExitCode"]) == ("FAILED", "75:0")
    assert wanted.exit_code.read_text() == "75\n"
    assert "hpc.maximum_restarts" in wanted.log.read_text()


def test_two_nodes_meet_at_the_first_one_and_leave_nothing_behind(metered: Cluster, tmp_path: Path):
    site = profile(scratch=str(tmp_path / "scratch"))
    tell = 'test -d "$TMPDIR"; echo "$SLURM_PROCID of $SLURM_NTASKS at $MASTER_ADDR:$MASTER_PORT $?"'
    wanted = order(tmp_path, ["bash", "-c", tell], site, nodes=2, tasks_per_node=1, cpus_per_task=1)
    job = submitted(metered, wanted)
    metered.wait(job)
    port = 15000 + int(job) % 15000
    assert sorted(wanted.log.read_text().split("\n"))[-2:] == [f"{rank} of 2 at n1:{port} 0" for rank in (0, 1)]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_each_job_of_an_array_has_a_log_and_an_exit_code_of_its_own(metered: Cluster, tmp_path: Path):
    wanted = order(tmp_path, ["bash", "-c", 'echo "I am $SLURM_ARRAY_TASK_ID"; exit $SLURM_ARRAY_TASK_ID'])
    submitted(metered, wanted, array="0-1")
    for index in (0, 1):
        until(wanted.folder / f"{wanted.exit_code.name}-{index}", f"{index}\n")
        assert f"I am {index}" in (wanted.folder / f"job-{index}.log").read_text()


def test_modules_are_loaded_in_order_and_a_missing_one_ends_the_job(tmp_path: Path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "srun").write_text("#!/bin/sh\necho the stage\n")
    (programs / "srun").chmod(0o755)
    wanted = order(tmp_path, ["true"], profile(modules=("GCC/12", "Python/3.11", "absent")))
    wanted.folder.mkdir(parents=True)
    wanted.script.write_text(script.slurm(wanted))
    function = "() { echo module $*; [ $# != 2 ] || [ $2 != absent ]; }"
    environment = {**os.environ, "BASH_FUNC_module%%": function, "PATH": f"{programs}:{os.environ['PATH']}"}
    command = ["bash", wanted.script]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["module purge", *(f"module load {n}" for n in wanted.profile.modules)]
    assert "module absent cannot be loaded" in done.stderr
    assert (done.returncode, wanted.exit_code.read_text()) == (2, "2\n")
    environment.pop("BASH_FUNC_module%%")
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, "no command module" in done.stderr) == (2, True)


def test_a_folder_of_the_login_shell_is_not_taken_for_the_scratch_of_the_job(tmp_path: Path):
    precious = tmp_path / "precious"
    precious.mkdir()
    wanted = order(tmp_path, ["true"])
    wanted.folder.mkdir(parents=True)
    wanted.script.write_text(script.slurm(wanted))
    environment = {**os.environ, "private": str(precious), "SLURM_JOB_ID": "7"}
    subprocess.run(["bash", wanted.script], env=environment, check=False, capture_output=True)
    assert wanted.exit_code.exists()
    assert precious.is_dir()


def test_a_copy_that_lives_on_does_not_speak_for_the_one_that_began_after_it(tmp_path: Path):
    programs = tmp_path / "programs"
    programs.mkdir()
    wanted = order(tmp_path, ["true"], profile(scratch=str(tmp_path / "scratch")))
    second = f"SLURM_RESTART_COUNT=1 bash {wanted.script}; echo the first one ends now; exit 4"
    (programs / "srun").write_text(f'#!/bin/bash\n[ -z "${{SLURM_RESTART_COUNT:-}}" ] || exit 3\n{second}\n')
    (programs / "srun").chmod(0o755)
    wanted.folder.mkdir(parents=True)
    wanted.script.write_text(script.slurm(wanted))
    environment = {**os.environ, "SLURM_JOB_ID": "7", "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", wanted.script], env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (4, "the first one ends now\n", "")
    assert wanted.exit_code.read_text() == "3\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"minutes": 2, "params": {"notice_seconds": 120}}, ("notice_seconds is 120 s", "2 min", "raise")),
        ({"site": profile(environment={"kind": "conda"})}, ("environment.path is empty",)),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_is_submitted(tmp_path: Path, change: dict, words: tuple[str, ...]):
    with pytest.raises(InputError) as error:
        script.slurm(order(tmp_path, ["true"], **change))
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("array", ["1-8;touch", "0-", "%2", "1 2", "1-8%0", "1-2\n3"])
def test_an_array_is_one_or_is_refused(tmp_path: Path, array: str):
    with pytest.raises(InputError, match="an array of jobs is written like 1-8%2"):
        script.slurm(order(tmp_path, ["true"]), array=array)
