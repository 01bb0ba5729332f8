"""docs/hpc.md: its ten commands, typed on a login node of a private Slurm, end in a promoted model."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import typer
import yaml
from hpc.cluster import cluster
from hpc.conftest import slurm_programs  # noqa: F401  # a fixture
from pipeline.test_pipeline import git, within_reach

from wattline.cli import app
from wattline.hpc import packages
from wattline.supply.bill import public

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hpc.md").read_text(encoding="utf-8")
BLOCK = re.search(r"## Ten commands\n.*?```console\n(.*?)```", PAGE, flags=re.DOTALL).group(1)
COMMANDS = [line.removeprefix("$ ") for line in BLOCK.splitlines()]
SECONDS = 1200
NEXT = "=== next: "


def test_there_are_ten_commands_and_each_verb_exists():
    assert len(COMMANDS) == 10
    assert set(re.findall(r"wattline ([a-z][a-z-]*)", BLOCK)) <= set(typer.main.get_command(app).commands)


@pytest.fixture
def upstream(tmp_path):
    """What is cloned: this tree, with little of everything and limits that any working candidate meets."""
    folder = tmp_path / "upstream"
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith(("dvc.lock", "reports/", "model_cards/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
            shutil.copymode(ROOT / name, folder / name)
    path = folder / "params.yaml"
    tree = yaml.safe_load(path.read_text())
    block = tree["node_anomaly"]
    block["ingest"]["options"]["simulator"] = {"nodes": 4, "nodes_per_rack": 2, "days": 2}
    block["evaluate"]["resamples"] = 100
    block["measure"] |= {"windows": 100, "repeats": 3, "serving": None}
    within_reach(block)
    for stage in tree["hpc"]["stages"].values():
        stage |= {"cpus_per_task": 1, "memory_gib": 1.0, "minutes": 20}
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    for lock in packages.LOCKS:
        (folder / lock).write_text(
            re.sub(r"^([\w.-]+)==([^\s;]+)", as_installed, (folder / lock).read_text(), flags=re.M)
        )
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "everything")
    return folder


def as_installed(pin):
    """A line of a lock with the version that is here: `make` below hands out this Python as what the locks name."""
    try:
        return f"{pin[1]}=={public(version(pin[1]))}"
    except PackageNotFoundError:
        return pin[0]


EDITOR = """
import pathlib, sys, yaml
path = pathlib.Path(sys.argv[1])
tree = yaml.safe_load(path.read_text())
tree |= {"description": "a private Slurm", "partition": ""}
tree["variables"] = {"PYTHONPATH": str(pathlib.Path("src").resolve()), "DVC_NO_ANALYTICS": "1"}
path.write_text(yaml.safe_dump(tree, sort_keys=False))
"""
MAKE = """
[ "$1" = setup ]
mkdir -p .venv/bin
cp "$prefix/pyvenv.cfg" .venv/
ln -sfn "$prefix/lib" .venv/lib
ln -sfn "$prefix/share" .venv/share
ln -sf "$prefix"/bin/* .venv/bin/
rm -f .venv/bin/activate .venv/bin/wattline
sed "s,$prefix,$PWD/.venv,g" "$prefix/bin/activate" > .venv/bin/activate
printf '#!/bin/sh\\nexec "%s/.venv/bin/python" -m wattline "$@"\\n' "$PWD" > .venv/bin/wattline
chmod +x .venv/bin/wattline
"""


def write_tools(folder: Path) -> Path:
    """What the commands find on a login node besides Slurm: an editor that fills in the profile, and a ready `make`.

    `make setup` installs for minutes, and is tested where the README's commands are: here it hands out this Python.
    """
    folder.mkdir()
    prefix = Path(sys.executable).parents[1]
    scripts = {"editor": f"#!{sys.executable}\n{EDITOR}", "make": f"#!/bin/sh\nset -e\nprefix={prefix}\n{MAKE}"}
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.usefixtures("slurm_programs")
def test_the_ten_commands_end_in_a_promoted_model(upstream, tmp_path):
    login = tmp_path / "login"
    login.mkdir()
    (tmp_path / "cluster").mkdir()
    tools = write_tools(tmp_path / "tools")
    script = "\n".join(f"echo {shlex.quote(NEXT + one)}\n{one}" for one in COMMANDS)
    with cluster(tmp_path / "cluster", ACCOUNTING="1") as found:
        ours = ("WATTLINE_", "MLFLOW_")
        environment = {name: value for name, value in found.environment.items() if not name.startswith(ours)}
        environment.pop("CI", None)  # as at a desk
        environment |= {
            "PATH": f"{tools}:{environment['PATH']}",
            "EDITOR": "editor",
            "WATTLINE_URL": str(upstream),
            "PYTHONPATH": str(login / "wattline" / "src"),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        environment |= {f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")}
        environment |= {f"GIT_{who}_EMAIL": "test@example.org" for who in ("AUTHOR", "COMMITTER")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=login, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        last = done.stdout.rpartition(NEXT)[2]
        assert done.returncode == 0, f"{last[:3000]}\n...\n{last[-3000:]}"
        assert "version 1 is champion" in done.stdout.splitlines()[-1]
        project = login / "wattline"
        jobs = sorted(path.parent.name for path in (project / "reports" / "jobs").glob("*/job.json"))
        assert jobs == ["notebook-results", "prepare", "train"]
        assert (project / "reports" / "notebooks" / "results.html").is_file()
        assert found.run("squeue", "--noheader") == ""
