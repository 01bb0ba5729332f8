"""The training image, built by docker/build_train.sh with buildah and kept outside of the checkout."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from image.containers import CA_BUNDLE, Containers

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements/core.lock", "requirements/torch-cpu.lock")
SOURCES = ("docker/train.Dockerfile", "docker/project.sh", "docker/build_train.sh", ".dockerignore", *LOCKS)
DOWNLOAD = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--no-build-isolation")
SECONDS = 1200.0


def archive(cache: Path, request: pytest.FixtureRequest) -> Path:
    """The image's files. It takes minutes to build, so one of the same sources is taken as it is."""
    digest = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in SOURCES)).hexdigest()[:16]
    found = cache / f"train-{digest}.tar"
    if not found.exists():
        containers: Containers = request.getfixturevalue("containers")
        base: str = request.getfixturevalue("base")
        for former in cache.glob("train-*.tar"):
            former.unlink()
        _build(containers, found, base=base, wheels=_wheels(cache))
    return found


def _wheels(cache: Path) -> Path:
    """Everything that the locks name, downloaded once; the build compares every hash again."""
    folder = cache / "train-wheels"
    stamp = folder / "locks"
    wanted = b"".join((ROOT / lock).read_bytes() for lock in LOCKS)
    if not stamp.exists() or stamp.read_bytes() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        for lock in LOCKS:
            command = [sys.executable, "-m", "pip", "download", *DOWNLOAD, "-d", str(folder), "-r", str(ROOT / lock)]
            subprocess.run(command, check=True, timeout=SECONDS)
        stamp.write_bytes(wanted)
    return folder


def _build(containers: Containers, target: Path, *, base: str, wheels: Path) -> None:
    programs = containers.folder / "train-programs"
    containers.programs(programs, wheels=wheels)
    done = subprocess.run(
        [ROOT / "docker" / "build_train.sh", target],
        env={
            "PATH": f"{programs}:{os.environ['PATH']}", "BUILDER": "buildah", "BASE": base,
            "BUILDAH_ISOLATION": "chroot", "CA_BUNDLE": str(CA_BUNDLE), "PIP_CONF": str(containers.folder / "pip.conf"),
        },
        check=False, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
