"""Real images, built and run without a daemon, in a storage of their own that vanishes with the tests."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian import install

from image.containers import ROOT, Containers
from image.project import write_project

PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
BASE = "docker.io/library/python:3.11-slim"
TAG = "localhost/wattline-server:test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def containers(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """buildah and podman on a storage of their own. Without root or apt the tests are skipped, except in CI."""
    install(cache, "containers")
    # Memory is much faster for the many small files of an image, and it is gone in any case.
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 1024**3
    folder = Path(tempfile.mkdtemp(prefix="wattline-image-", dir=memory if roomy else tmp_path_factory.getbasetemp()))
    here = Containers(folder)
    yield here
    here.close()
    assert not folder.exists()


@pytest.fixture(scope="session")
def base(containers: Containers, cache: Path) -> str:
    """A stand-in for python:3.11-slim, made of Debian's packages and called by that name."""
    tar = cache / "base.tar"
    if not tar.exists():
        fresh = cache / "base.new.tar"
        command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io", "--quiet"]
        where = {**os.environ, "TMPDIR": str(containers.folder)}
        subprocess.run([*command, f"--include={PACKAGES}", "bookworm", str(fresh)], check=True, env=where)
        fresh.replace(tar)
    containers.podman("import", str(tar), BASE)
    return BASE


@pytest.fixture(scope="session")
def wheels(cache: Path) -> Path:
    """The wheels of serve.lock, downloaded once and compared with their hashes each time they are installed."""
    folder = cache / "wheels"
    lock = ROOT / "requirements" / "serve.lock"
    stamp = folder / "serve.lock"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:"]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", str(lock)], check=True
        )
        shutil.copyfile(lock, stamp)
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a promoted, signed model in it, and a private key that must get nowhere."""
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def image(containers: Containers, base: str, wheels: Path, project: Path) -> str:
    """The server's image, built as docs/image.md says."""
    containers.build(project, TAG, base=base, wheels=wheels, commit=COMMIT, model_digest=digest(project))
    return TAG


def digest(project: Path) -> str:
    """Digest of the model in `project`."""
    from wattline import files
    from wattline.records import Champion

    return str(files.read_record(project / "champion" / "champion.json", Champion).digest)
