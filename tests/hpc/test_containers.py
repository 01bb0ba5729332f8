"""The training image without Docker: built, unpacked by `wattline stage-in`, run as a job by a user without rights."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian import install
from image.conftest import base, containers  # noqa: F401  # fixtures

from hpc import site_project, training_image
from hpc.cluster import cluster
from hpc.site_project import SITE, SiteProject
from wattline import files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

NOBODY = 65534
COMPARED = ("models/candidate", "reports/train.json", "reports/train")


@pytest.fixture(scope="module")
def site(cache: Path, request: pytest.FixtureRequest, slurm_programs: None) -> Iterator[tuple[SiteProject, Path]]:
    """The project on a cluster of one node, and the image's archive."""
    install(cache, "charliecloud")
    archive = training_image.archive(cache, request)
    with site_project.open_to_all() as folder, cluster(folder / "slurm", nodes=1) as slurm:
        path = f"{os.environ['PATH']}:{cache / 'tools' / 'usr' / 'bin'}"
        project = site_project.write(folder / "project", SLURM_CONF=slurm.environment["SLURM_CONF"])
        project.environment["PATH"] += f":{path}"
        project.profile(
            environment={"kind": "charliecloud", "path": str(folder / "image")},
            flags=[f"--uid={NOBODY}", f"--gid={NOBODY}"],
        )
        yield project, archive
        assert [line for line in slurm.processes() if "ch-run" in line] == []


def test_a_training_in_the_image_gives_the_bytes_of_one_outside(site: tuple[SiteProject, Path]):
    project, archive = site
    image = project.folder.parent / "image"
    for stage in ("ingest", "prepare", "train"):
        project.wattline("run", stage)
    outside = {name: bytes_of(project.folder / name) for name in COMPARED}
    for name in COMPARED:
        place = project.folder / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    shutil.rmtree(project.folder / ".wattline")

    said = project.wattline("stage-in", "--site", SITE, "--image", str(archive))
    assert f"packages: charliecloud at {image}" in said
    assert "as the locks say, made of" in said
    again = project.wattline("stage-in", "--site", SITE, "--image", str(archive))
    assert "as the locks say" in again
    assert "made of" not in again

    everybody(project.folder)
    project.wattline("run", "train", "--site", SITE, WATTLINE_OFFLINE="1")
    log = (project.folder / "reports/jobs/train/job.log").read_text()
    assert {name: bytes_of(project.folder / name) for name in COMPARED} == outside, log
    (exit_code,) = (project.folder / "reports/jobs/train").glob("exit_code-????????????")
    assert exit_code.stat().st_uid == NOBODY
    assert not Path("/opt/wattline").exists(), "the host has what the image should have given"
    assert "sent: " in project.wattline("sync")


def test_the_image_holds_packages_and_nothing_of_the_project_or_of_who_built_it(site: tuple[SiteProject, Path]):
    project, archive = site
    names = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True).stdout.splitlines()
    assert not [name for name in names if "site-packages/wattline" in name or "site-packages/project" in name]
    mounted = ("./run/secrets/", "./run/requirements/", "./tmp/build")
    assert not [name for name in names if name.startswith(mounted) and not name.endswith("/")]
    assert not [name for name in names if Path(name).name in ("pip.conf", "params.yaml", ".git", "private.pem")]
    refused = in_image(project, "wattline", "run", "train", folder="/")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "mount the project into the container" in refused.stderr
    assert "uid=65534" in in_image(project, "id", folder="/").stdout


def test_an_image_of_other_packages_is_named_with_the_remedy(site: tuple[SiteProject, Path]):
    project, _ = site
    lock = project.folder / "requirements" / "core.lock"
    former = lock.read_text()
    lock.write_text(former.replace("\nnumpy==", "\nnumpy==9"))
    try:
        done = project.run("python", "-m", "wattline", "stage-in", "--site", SITE)
    finally:
        lock.write_text(former)
    assert done.returncode == 1
    assert "MISSING packages: numpy is" in done.stdout
    assert "docker/build_train.sh" in done.stdout


def bytes_of(path: Path) -> dict[str, str]:
    return files.digests(path) if path.is_dir() else {path.name: files.sha256(path)}


def everybody(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)


def in_image(project: SiteProject, *command: str, folder: str) -> "subprocess.CompletedProcess[str]":
    """A command in the image as a user who has no rights at all."""
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "USER=nobody"]
    image = str(project.folder.parent / "image")
    return project.run(*user, "ch-run", f"--cd={folder}", "--set-env", image, "--", *command)
