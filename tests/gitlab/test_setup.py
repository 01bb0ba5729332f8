"""ci/setup.sh: a job finds its environment, or is told what its runner lacks."""

import os
import shutil
import stat
import subprocess

import pytest

from gitlab.ci.configuration import ROOT

SETUP = ROOT / "ci" / "setup.sh"


@pytest.fixture
def machine(tmp_path):
    """A machine with nothing but a shell: `machine(name, script)` installs a program that notes how it was called."""
    for name in ("bash", "env", "dirname", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name))

    def install(name, text=""):
        path = tmp_path / name
        path.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >> "{tmp_path}/calls"\n{text}\n', encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    install.folder = tmp_path
    return install


def run(machine, *arguments, **variables):
    environment = {"PATH": str(machine.folder), "HOME": str(machine.folder), **variables}
    done = subprocess.run([SETUP, *arguments], env=environment, capture_output=True, text=True, check=False, cwd=os.sep)
    calls = machine.folder / "calls"
    return done, calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


def test_where_all_is_there_only_make_setup_runs(machine):
    machine("git")
    machine("make")
    done, calls = run(machine)
    assert done.returncode == 0, done.stderr
    assert calls == ["git rev-parse --git-dir", "make setup"]


def test_a_private_key_that_a_runner_left_open_to_all_is_closed(machine, tmp_path):
    for name in ("git", "make"):
        machine(name)
    (machine.folder / "chmod").symlink_to(shutil.which("chmod"))
    key = tmp_path / "key.pem"
    key.write_text("a key\n")
    key.chmod(0o666)
    done, _ = run(machine, WATTLINE_SIGNING_KEY=str(key), WATTLINE_MODEL_SIGNING_KEY="the key itself, no file")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_bare_image_is_given_what_it_lacks(machine):
    folder = machine.folder
    machine("id", "echo 0")
    empty = "printf '#!/usr/bin/env bash\\n'"
    made = "; ".join(
        f"{empty} > {folder}/{name}; {shutil.which('chmod')} +x {folder}/{name}" for name in ("git", "make")
    )
    machine("apt-get", f'case " $* " in *" install "*) {made} ;; esac')
    done, calls = run(machine)
    assert done.returncode == 0, done.stderr
    installed = next(line for line in calls if " install " in line)
    assert {"git", "make"} <= set(installed.split())
    assert "buildah" not in installed


@pytest.mark.parametrize(("builder", "package"), [("", "buildah"), ("podman", "podman"), ("docker", "docker.io")])
def test_a_job_that_builds_images_is_given_the_builder(builder, package, machine):
    machine("id", "echo 0")
    machine("git")
    machine("make")
    machine("apt-get")
    _, calls = run(machine, "containers", BUILDER=builder)
    assert package in next(line for line in calls if " install " in line).split()


def test_a_runner_that_may_not_install_is_told_what_to_do(machine):
    machine("id", "echo 1000")
    machine("git")
    done, calls = run(machine)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "ci/setup.sh: make missing; install them on this runner, or set WATTLINE_CI_IMAGE to an image that has them"
    )
    assert not any(line.startswith("make") for line in calls)


def test_a_checkout_of_somebody_else_is_trusted(machine):
    machine("git", 'case "$1" in rev-parse) exit 128 ;; esac')
    machine("make")
    done, calls = run(machine)
    assert done.returncode == 0
    assert f"git config --global --add safe.directory {ROOT}" in calls
