"""`wattline stage-in`: what is there is whole, what is missing is named with its remedy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hpc import site_project
from hpc.site_project import SITE, SiteProject
from hpc.test_namespaces import can_have_networks
from wattline.errors import InputError, WattlineError
from wattline.hpc import caching, image, packages
from wattline.hpc.staged import place, refusal, size
from wattline.sites import EnvironmentProfile, Profile

MODULE = """
module() {
    echo "$@" >> "$MODULES_LOG"
    [ "$1" = purge ] || [ "$2" != absent ]
}
export -f module
"""
TAR = '#!/bin/sh\nmkdir -p "$6/usr/bin" "$6/ch"\n'
"""Stands in for ch-convert: -i tar -o dir ARCHIVE FOLDER. The real one runs in test_containers.py."""


def program(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def of(kind: str, path: str = "", **keys: object) -> Profile:
    environment = {"kind": kind, "path": path}
    return Profile.model_validate({"description": "a test", "scheduler": "slurm", "environment": environment, **keys})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SiteProject:
    found = site_project.write(tmp_path_factory.mktemp("site") / "project")
    found.profile(environment={"kind": "none"})
    found.locks_of_here()
    return found


def test_it_is_done_again_without_a_change_and_names_what_is_missing(project: SiteProject):
    first, second = (project.wattline("stage-in", "--site", SITE) for _ in range(2))
    measured = [re.sub(r"space: [\d.]+ .B", "space", said) for said in (first, second)]
    assert measured[0] == measured[1]
    assert "data: simulated-cluster names no file" in first
    assert "champion: there is none yet" in first
    options = {"smd": {"machines": ["machine-1-1"], "home": "http://127.0.0.1:9"}}
    project.params({"ingest": {"source": "smd", "options": options}})
    done = project.run(sys.executable, "-m", "wattline", "stage-in", "--site", SITE)
    project.params({"ingest": {"source": "simulator", "options": {"simulator": site_project.CLUSTER}}})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "MISSING data: http://127.0.0.1:9/train/machine-1-1.txt could not be downloaded" in done.stdout
    assert "\ncache: " in done.stdout, "what failed kept the rest back"


@pytest.mark.parametrize(("kind", "name"), [("charliecloud", "train.oci.tar"), ("apptainer", "train.tar")])
def test_an_archive_of_the_other_kind_is_refused(tmp_path: Path, kind: str, name: str):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"docker/build_train\.sh"):
        image.check(tmp_path / name, kind)
    with pytest.raises(InputError, match="no file"):
        image.check(tmp_path / "absent.tar", kind)
    with pytest.raises(InputError, match=r"environment\.kind is venv"):
        image.check(tmp_path / name, "venv")


def test_a_conversion_that_fails_leaves_the_former_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive, target = tmp_path / "train.tar", tmp_path / "image"
    archive.write_bytes(b"one")
    program(tmp_path / "bin", "ch-convert", TAR, monkeypatch)
    assert image.unpack(archive, target, kind="charliecloud", say=str)
    assert not image.unpack(archive, target, kind="charliecloud", say=str)
    archive.write_bytes(b"two")
    program(tmp_path / "bin", "ch-convert", f"{TAR}echo 'No space left on device'; exit 1\n", monkeypatch)
    with pytest.raises(WattlineError, match="ch-convert failed with exit code 1: No space left on device"):
        image.unpack(archive, target, kind="charliecloud", say=str)
    assert (target / "usr").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "image", "train.tar"]


def test_apptainer_is_asked_for_an_image_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "index.json").write_text("{}")
    (tmp_path / "oci-layout").write_text("{}")
    archive = tmp_path / "train.oci.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "oci-layout", "index.json"], check=True)
    text = f'#!/bin/sh\necho "$1 $3" > {tmp_path}/asked\ntouch "$2"\n'
    program(tmp_path / "bin", "apptainer", text, monkeypatch)
    assert image.unpack(archive, tmp_path / "train.sif", kind="apptainer", say=str)
    assert (tmp_path / "asked").read_text() == f"build oci-archive:{archive}\n"
    assert not image.unpack(archive, tmp_path / "train.sif", kind="apptainer", say=str)


def test_modules_are_purged_then_loaded_in_order_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".bash_profile").write_text(MODULE)
    log = tmp_path / "modules.log"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MODULES_LOG", str(log))
    found = packages.look(of("none", modules=["gcc/12", "python/3.11"]), tmp_path)
    assert log.read_text().splitlines() == ["purge", "load gcc/12", "load python/3.11"]
    assert found.packages["numpy"]
    with pytest.raises(WattlineError, match="module absent cannot be loaded"):
        packages.look(of("none", modules=["gcc/12", "absent", "python/3.11"]), tmp_path)
    assert log.read_text().splitlines()[3:] == ["purge", "load gcc/12", "load absent"]


@pytest.mark.parametrize("kind", ["venv", "conda", "charliecloud", "apptainer"])
def test_an_environment_that_is_not_there_is_named(tmp_path: Path, kind: str):
    with pytest.raises(WattlineError, match=r"there is no|has no"):
        packages.look(of(kind, str(tmp_path / "absent")), tmp_path)


def test_other_packages_than_the_locks_name_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(site_project.ROOT)
    differing = packages.differences(packages.Found("3.10.1", {"numpy": "1.0"}))
    assert differing[0].startswith("Python is 3.10.1 there")
    assert any(line.startswith("torch is absent there") for line in differing)
    assert packages.told(differing).endswith(f"and {len(differing) - 3} more")


def test_the_cache_moves_with_what_is_in_it(project: SiteProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project.folder)
    former = project.folder / ".dvc" / "cache" / "files" / "md5" / "aa"
    former.mkdir(parents=True)
    (former / "object").write_text("kept")
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    for _ in range(2):
        said = caching.stage(Profile(description="x", scheduler="slurm", cache="$SCRATCH/cache"), say=str)
        assert f"1 objects, 4 B in {tmp_path}/cache" in said.said
    assert (tmp_path / "cache" / "files" / "md5" / "aa" / "object").read_text() == "kept"
    done = project.run("dvc", "cache", "dir")
    assert done.stdout.strip() == str(tmp_path / "cache")
    monkeypatch.delenv("SCRATCH")
    with pytest.raises(InputError, match="SCRATCH is not set here"):
        place("$SCRATCH/cache", key="cache")


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(tmp_path: Path):
    """The real thing: a file system of 64 kB, in a mount namespace of its own."""
    if not can_have_networks():
        pytest.skip("a small file system needs root, or user namespaces")
    code = (
        "import pathlib, sys\n"
        "from wattline import files\nfrom wattline.hpc.staged import refusal\n"
        "where = pathlib.Path(sys.argv[1]) / 'file'\n"
        "try:\n    files.write_bytes(where, bytes(1 << 20))\n"
        "except OSError as error:\n    print(refusal(error, where), list(where.parent.iterdir()))\n"
    )
    own = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    script = 'mount -t tmpfs -o size=64k tmpfs "$1" && "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", *own, "--mount", "bash", "-c", script, "bash", str(tmp_path), sys.executable, code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "the disk or your quota is full" in done.stdout, done.stderr
    assert done.stdout.endswith(" []\n")
    assert "look at who may write there" in refusal(PermissionError(13, "Permission denied"), tmp_path)


def test_a_job_without_git_knows_the_commit_from_who_submitted(tmp_path: Path):
    code = "from wattline.registry import tracking; print(tracking.commit())"
    where = {"PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), "WATTLINE_COMMIT": "0123abc"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=where, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0123abc\n"


def test_sizes_are_told_as_people_do():
    assert [size(count) for count in (0, 999, 1000, 4_100_000_000)] == ["0 B", "999 B", "1.0 kB", "4.1 GB"]


def test_the_environment_of_this_very_command_is_not_rebuilt():
    with pytest.raises(WattlineError, match="make setup"):
        packages.build(Path(sys.prefix), say=str)
    assert EnvironmentProfile().kind == "none"
