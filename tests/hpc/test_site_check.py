"""`wattline site check` on a real Slurm: what is missing is named with its key and a remedy, and nothing else is."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from hpc.cluster import Cluster
from wattline import sites
from wattline.cli import app
from wattline.errors import InputError
from wattline.hpc.checks import host, report, slurm
from wattline.settings import settings

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "description": "tests",
    "scheduler": "slurm",
    "stages": ["prepare", "train"],
    "partition": "main",
    "resources": {"nodes": 1, "cpus_per_task": 1, "memory_gib": 1.0, "minutes": 10},
}
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def project(metered: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project at a login node of the cluster."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, metered.environment[name])
    monkeypatch.delenv("WATTLINE_STATE", raising=False)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    tree["hpc"]["stages"] = {}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
    (tmp_path / sites.FOLDER).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def check(project: Path) -> Check:
    """Checks a profile with some changes: exit code, and the lines that name what is missing or unseen."""

    def run(**changes: Any) -> tuple[int, str]:
        (project / sites.FOLDER / "here.yaml").write_text(yaml.safe_dump(GOOD | changes))
        said: list[str] = []
        code = report.check("here", say=said.append)
        return code, "\n".join(line for line in said if line.startswith(("missing  ", "unseen  ")))

    return run


def test_a_site_that_is_ready_has_nothing_missing_and_shows_its_scripts(project: Path, metered: Cluster, check: Check):
    assert check() == (0, "")
    done = CliRunner().invoke(app, ["site", "check", "here"])
    assert done.exit_code == 0, done.output
    assert "nothing is missing" in done.output
    for stage in ("prepare", "train"):
        assert f"#SBATCH --job-name=wattline-{stage}-" in done.output
    assert metered.run("squeue", "--noheader") == "", "a check submits nothing"
    assert [path.name for path in project.iterdir() if path.name == "reports"] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partition": "gpu"}, ("partition:", "no partition gpu", "choose one of main")),
        ({"account": "nobody"}, ("account:", "has no account nobody")),
        ({"qos": "urgent"}, ("qos:", "no QoS urgent", "normal")),
        ({"resources": {"minutes": 2}}, ("script:", "notice_seconds is 120 s")),
        ({"flags": ["--constraint=nosuch"]}, ("hpc.stages.train:", "Slurm would refuse the script", "feature")),
        ({"environment": {"kind": "venv", "path": "absent"}}, ("environment.path:", "absent/bin/python", "stage-in")),
        ({"environment": {"kind": "conda"}}, ("environment.path:", "it is empty")),
        ({"environment": {"kind": "charliecloud", "path": "/absent"}}, ("no unpacked image at /absent", "stage-in")),
        ({"environment": {"kind": "apptainer", "path": "a.sif"}}, ("no image at", "a.sif", "stage-in")),
        ({"scratch": "/proc/version/x"}, ("scratch:", "cannot be written to", "make room there, or name another one")),
        ({"energy": "ear"}, ("energy:", "no eacct on PATH")),
        ({"energy": "slurm"}, ("energy:", "hpc.stages.train.exclusive to true")),
    ],
)
def test_what_is_missing_is_named_with_a_remedy(check: Check, changes: dict, words: tuple[str, ...]):
    code, said = check(**changes)
    assert code == 1
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modules": ["absent/1.0"]}, ("modules:", "no command module here")),
        ({"scratch": "$NO_SUCH_VARIABLE/x"}, ("scratch:", "$NO_SUCH_VARIABLE/x names a variable that is not set")),
    ],
)
def test_what_only_a_node_can_tell_is_said_and_is_no_failure(check: Check, changes: dict, words: tuple[str, ...]):
    code, said = check(**changes)
    assert code == 0
    assert said.startswith("unseen")
    assert all(word in said for word in words), said


def test_more_than_the_partition_has_is_named_for_each_stage(check: Check):
    code, said = check(resources={"nodes": 3, "cpus_per_task": 9, "memory_gib": 64.0, "gpus_per_node": 4})
    assert code == 1
    for stage in ("prepare", "train"):
        for words in (
            "3 nodes are more than the 2 of partition main; lower nodes",
            "9 CPUs on each node are more than the 2 that main has; lower cpus_per_task",
            "64 GiB on each node are more than the 3.9 GiB that main has; lower memory_gib",
            "4 GPUs on each node are more than the 0 that main has; lower gpus_per_node",
        ):
            assert f"hpc.stages.{stage}: {words}" in said


def test_a_limit_of_the_partition_is_known(metered: Cluster, check: Check):
    metered.run("scontrol", "update", "PartitionName=main", "MaxTime=0-00:05:00")
    try:
        code, said = check()
    finally:
        metered.run("scontrol", "update", "PartitionName=main", "MaxTime=UNLIMITED")
    assert code == 1
    assert "hpc.stages.train: 10 min are more than the 5 min of partition main; lower minutes" in said


def test_a_partition_that_is_down_is_named(metered: Cluster, check: Check):
    metered.run("scontrol", "update", "PartitionName=main", "State=DOWN")
    try:
        code, said = check()
    finally:
        metered.run("scontrol", "update", "PartitionName=main", "State=UP")
    assert (code, "partition main is DOWN" in said) == (1, True)


def test_a_counter_of_energy_is_found_where_there_is_one(check: Check):
    assert check(energy="slurm", resources=GOOD["resources"] | {"exclusive": True}) == (0, "")


def test_an_account_that_this_user_has_is_right(metered: Cluster, check: Check):
    user = metered.run("id", "-un").strip()
    metered.run("sacctmgr", "-i", "add", "account", "physics")
    metered.run("sacctmgr", "-i", "add", "user", user, "account=physics")
    try:
        assert check(account="physics", qos="normal") == (0, "")
        assert "choose one of: physics" in check(account="chemistry")[1]
    finally:
        metered.run("sacctmgr", "-i", "delete", "user", user)
        metered.run("sacctmgr", "-i", "delete", "account", "physics")


def test_a_stage_of_params_that_is_none_is_named(project: Path, check: Check):
    tree = yaml.safe_load((project / "params.yaml").read_text())
    tree["hpc"]["stages"] = {name: {"minutes": 5} for name in ("sweep", "notebook-results", "trian")}
    (project / "params.yaml").write_text(yaml.safe_dump(tree))
    code, said = check()
    assert (code, said.count("which is no stage")) == (1, 1)
    assert "hpc.stages names 'trian'" in said


def test_a_quota_that_is_used_up_is_found_by_writing(check: Check, monkeypatch: pytest.MonkeyPatch, project: Path):
    def full(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(host.os, "fsync", full)
    code, said = check(scratch=str(project / "scratch"))
    assert code == 1
    assert f"scratch: {project}/scratch cannot be written to (Disk quota exceeded)" in said
    assert "project: " in said, "the project lies there, too"


def test_a_folder_that_nodes_do_not_see_is_named(check: Check, monkeypatch: pytest.MonkeyPatch, project: Path):
    assert slurm.elsewhere() is False, "all nodes of the tests are this machine"
    assert host.file_system(Path("/dev/shm")) in host.OWN
    monkeypatch.setattr(slurm, "elsewhere", lambda: True)
    monkeypatch.setattr(host, "_dvc", lambda profile: ())  # it takes seconds, and has a test of its own
    code, said = check(cache="/dev/shm", scratch="/dev/shm")
    assert code == 1
    assert "cache: /dev/shm lies on tmpfs, a file system that only this machine sees" in said
    assert "scratch: /dev/shm" not in said, "temporary files need not be shared"


def test_dvc_has_to_use_the_cache_of_the_profile(check: Check, project: Path, metered: Cluster):
    metered.run("git", "init", "-q", str(project))
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").write_text("")
    cache = project / "shared cache"
    remedy = f"dvc config --local cache.dir '{cache}'"
    assert remedy in check(cache=str(cache))[1]
    (project / ".dvc" / "config").write_text(f"[cache]\n    dir = {cache}\n")
    assert check(cache=str(cache)) == (0, "")


def test_a_venv_of_another_python_or_without_the_project_is_named(check: Check, project: Path):
    program = project / "env" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 3.9\n")
    venv = {"kind": "venv", "path": "env"}
    program.chmod(0o755)
    assert "is not Python 3.11 (3.9); make the environment anew" in check(environment=venv)[1]
    program.write_text("#!/bin/sh\necho 3.11\necho No module named wattline >&2\nexit 1\n")
    assert "cannot import wattline (No module named wattline)" in check(environment=venv)[1]


def test_without_a_scheduler_the_script_is_still_shown(check: Check, project: Path, monkeypatch: pytest.MonkeyPatch):
    programs = project / "programs"
    programs.mkdir()
    (programs / "bash").symlink_to(str(shutil.which("bash")))
    monkeypatch.setenv("PATH", str(programs))
    for scheduler, program in (("slurm", "sbatch"), ("flux", "flux")):
        code, said = check(scheduler=scheduler)
        assert code == 1
        assert f"scheduler: there is no {program} on PATH here" in said
    done = CliRunner().invoke(app, ["site", "check", "here"])
    assert (done.exit_code, "# flux: --nodes=1" in done.output) == (1, True)


def test_a_controller_that_is_down_is_no_missing_partition(
    check: Check, project: Path, metered: Cluster, monkeypatch: pytest.MonkeyPatch
):
    text = Path(metered.environment["SLURM_CONF"]).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("SlurmctldPort=")]
    (project / "slurm.conf").write_text("\n".join([*lines, "SlurmctldPort=1", "MessageTimeout=1"]).replace(
        "MessageTimeout=10\n", ""
    ))  # fmt: skip
    monkeypatch.setenv("SLURM_CONF", str(project / "slurm.conf"))
    code, said = check()
    assert (code, "scheduler: Slurm does not answer" in said, "no partition" in said) == (1, True, False)


def test_the_list_shows_every_site_and_a_broken_one_as_broken(project: Path, check: Check):
    check()
    (project / sites.FOLDER / "local.yaml").write_text("description: this machine\nscheduler: local\n")
    (project / sites.FOLDER / "broken.yaml").write_text("scheduler: pbs\n")
    lines = CliRunner().invoke(app, ["site", "list"]).output.splitlines()
    assert [line.split()[0] for line in lines] == ["broken", "here", "local"]
    assert "broken: deploy/sites/broken.yaml" in lines[0]
    assert "slurm  jobs: prepare, train  tests" in lines[1]
    assert report.check("local", say=lambda line: None) == 0
    with pytest.raises(InputError, match="there is no site 'nowhere'"):
        report.check("nowhere", say=lambda line: None)
