"""What a job runs in: each kind of environment wraps the command, and one that is not there ends the job by a sentence.

The scripts run in bash; `srun` starts its command at once, and containers are programs that tell how they were called.
tests/hpc/test_containers.py runs a real image.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpc.orders import order, profile
from wattline.hpc import script
from wattline.hpc.scheduler import Order
from wattline.settings import settings

pytestmark = pytest.mark.usefixtures("plain_environment")

OURS = ("PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX")
SRUN = """#!/bin/bash
while [[ "$1" = --* ]]; do shift; done
exec "$@"
"""
TELLS = """#!/bin/bash
printf '%s\\n' "$0" "$@" "PYTHONPATH=$APPTAINERENV_PYTHONPATH"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    add(folder, "srun", SRUN)
    return folder


def add(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def run(wanted: Order, programs: Path) -> subprocess.CompletedProcess[str]:
    wanted.folder.mkdir(parents=True, exist_ok=True)
    wanted.script.write_text(script.slurm(wanted))
    environment = {
        **{name: value for name, value in os.environ.items() if name not in OURS},
        "PATH": f"{programs}:/usr/bin:/bin",
        "SLURM_JOB_ID": "7",
        "HERE": str(wanted.root),
    }
    return subprocess.run(
        ["bash", wanted.script], env=environment, check=False, capture_output=True, text=True, timeout=60
    )


def asked(tmp_path: Path, kind: str, path: str = "", **resources: Any) -> Order:
    root = tmp_path / "the project"
    root.mkdir(exist_ok=True)
    site = profile(environment={"kind": kind, "path": path}, scratch="$HERE/../scratch")
    return order(root, ["wattline", "run", "train", "--site", "local"], site, **resources)


def test_without_one_the_python_that_submits_is_the_jobs(tmp_path: Path, programs: Path):
    wanted = order(tmp_path, ["python", "-c", "import sys; print(sys.prefix)"])
    assert run(wanted, programs).stdout.strip() == sys.prefix


@pytest.mark.parametrize("kind", ["venv", "conda"])
@pytest.mark.parametrize("path", ["env 1", "$HERE/env 1"])
def test_a_folder_of_python_comes_first_on_the_path(tmp_path: Path, programs: Path, kind: str, path: str):
    wanted = asked(tmp_path, kind, path)
    folder = wanted.root / "env 1"
    add(folder / "bin", "python", "#!/bin/sh\n")
    add(folder / "bin", "wattline", '#!/bin/sh\necho "$* in $VIRTUAL_ENV$CONDA_PREFIX, hook $HOOK"\n')
    (folder / "etc" / "conda" / "activate.d").mkdir(parents=True)
    (folder / "etc" / "conda" / "activate.d" / "hook.sh").write_text('export HOOK=ran"$NOT_SET"\n')
    done = run(wanted, programs)
    hook = "ran" if kind == "conda" else ""
    assert done.stdout == f"run train --site local in {folder}, hook {hook}\n", done.stderr


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("venv", "there is no virtual environment at"),
        ("conda", "there is no conda environment at"),
        ("charliecloud", "this node has no ch-run; load the module"),
        ("apptainer", "this node has no apptainer; load its module"),
    ],
)
def test_what_is_not_there_on_the_node_ends_the_job_by_a_sentence(
    tmp_path: Path, programs: Path, kind: str, words: str
):
    for name in ("bash", "cat", "rm", "mv", "mkdir", "chmod", "id"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    wanted = asked(tmp_path, kind, "absent")
    wanted.folder.mkdir(parents=True)
    wanted.script.write_text(script.slurm(wanted))
    environment = {"PATH": str(programs), "SLURM_JOB_ID": "7", "HERE": str(wanted.root)}
    done = subprocess.run(["bash", wanted.script], env=environment, check=False, capture_output=True, text=True)
    assert words in done.stderr
    assert (done.returncode, wanted.exit_code.read_text()) == (2, "2\n")


def test_a_variable_that_a_node_does_not_set_is_an_error_and_not_an_empty_path(tmp_path: Path, programs: Path):
    wanted = asked(tmp_path, "venv", "$NO_SUCH_VARIABLE/env")
    done = run(wanted, programs)
    assert "NO_SUCH_VARIABLE: unbound variable" in done.stderr
    assert done.returncode != 0
    assert wanted.exit_code.read_text() == f"{done.returncode}\n"


def test_apptainer_gets_project_folders_and_drivers(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATTLINE_DATA_MIRROR", str(tmp_path / "mirror"))
    settings.cache_clear()
    add(programs, "apptainer", TELLS)
    wanted = asked(tmp_path, "apptainer", "train.sif", gpus_per_node=1)
    (wanted.root / "train.sif").touch()
    done = run(wanted, programs)
    settings.cache_clear()
    root = str(wanted.root)
    assert done.stdout.splitlines()[1:] == [
        "exec", "--nv", "--no-home", f"--pwd={root}", f"--bind={root}", f"--bind={tmp_path}/mirror",
        f"--bind={root}/../scratch", f"{root}/train.sif",
        "python3", "-m", "wattline", "run", "train", "--site", "local", f"PYTHONPATH={root}/src",
    ], done.stderr  # fmt: skip


def test_charliecloud_gets_the_project_where_it_is_and_a_folder_for_each_mount(tmp_path: Path, programs: Path):
    add(programs, "ch-run", TELLS)
    wanted = asked(tmp_path, "charliecloud", "image")
    image = wanted.root / "image"
    (image / "usr").mkdir(parents=True)
    done = run(wanted, programs)
    root = str(wanted.root)
    assert (image / root.lstrip("/")).is_dir(), "a read-only image needs it"
    assert done.stdout.splitlines()[1:7] == [
        "--env-no-expand", f"--cd={root}", f"--bind={root}", f"--bind={root}/../scratch",
        "--set-env=PATH=/opt/wattline/bin:/usr/local/bin:/usr/bin:/bin", f"--set-env=PYTHONPATH={root}/src",
    ], done.stderr  # fmt: skip
    assert done.stdout.splitlines()[7:-1] == [
        str(image), "--", "python3", "-m", "wattline", "run", "train", "--site", "local",
    ]  # fmt: skip
    assert list((tmp_path / "scratch").iterdir()) == [], "temporary files are gone"
