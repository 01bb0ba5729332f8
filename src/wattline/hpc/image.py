"""The training image as a site without Docker runs it: made of the file that docker/build_train.sh wrote."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wattline import files
from wattline.errors import InputError, WattlineError
from wattline.hpc.staged import shown
from wattline.interruption import Say, streamed
from wattline.settings import inherited

KINDS = ("charliecloud", "apptainer")
STAMP = "wattline-archive"
"""In the image's folder, or beside its file: SHA-256 of the archive that it was made of."""


def unpack(archive: Path, target: Path, *, kind: str, say: Say) -> bool:
    """Make the image of kind charliecloud (a folder) or apptainer (a file) at `target`, unless that is made of it.

    A job that runs in a former one keeps what it has opened; start none meanwhile.

    returns: whether it was made now
    archive: one that `check` agrees to
    Raises WattlineError where the conversion fails: what was at
    `target` before is there still.
    """
    digest = files.sha256(archive)
    stamp = _stamp(target, kind)
    if stamp.is_file() and stamp.read_text().strip() == digest:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with _replaced(target) as fresh:
        _convert(_command(archive, fresh, kind), say=say)
        if kind == "charliecloud":
            files.write_text(_stamp(fresh, kind), f"{digest}\n")
    if kind == "apptainer":
        files.write_text(stamp, f"{digest}\n")
    return True


def check(archive: Path, kind: str) -> None:
    """Raise InputError where `archive` is no file that an environment of this kind is made of."""
    if kind not in KINDS:
        raise InputError(f"--image is given, but environment.kind is {kind}; leave it out, or correct the profile")
    if not archive.is_file():
        raise InputError(f"--image is {str(archive)!r}, which is no file; docker/build_train.sh writes one")
    whole = archive.name.endswith(".oci.tar")
    if whole != (kind == "apptainer"):
        wanted = "build/train.oci.tar" if kind == "apptainer" else "build/train.tar"
        raise InputError(f"--image is {str(archive)!r}; for {kind} it is what `docker/build_train.sh {wanted}` writes")


def _command(archive: Path, fresh: Path, kind: str) -> Sequence[str]:
    if kind == "charliecloud":
        return ("ch-convert", "-i", "tar", "-o", "dir", str(archive), str(fresh))
    # Docker saves its own format, podman and buildah that of OCI: its index tells them apart.
    return ("apptainer", "build", str(fresh), f"{'docker' if _is_dockers(archive) else 'oci'}-archive:{archive}")


def _is_dockers(archive: Path) -> bool:
    import tarfile

    try:
        with tarfile.open(archive) as members:
            names = {name.removeprefix("./") for name in members.getnames()}
    except tarfile.TarError:
        raise InputError(f"{archive} is no archive of an image, or was cut; copy it again") from None
    return "manifest.json" in names and "oci-layout" not in names


def _convert(command: Sequence[str], *, say: Say) -> None:
    lines: list[str] = []

    def heard(line: str) -> None:
        lines.append(line)
        say(line)

    try:
        # Charliecloud would keep copies of images in the home folder.
        code = streamed(["env", "CH_IMAGE_CACHE=disabled", *command], folder=Path.cwd(), say=heard)
    except FileNotFoundError:
        code = 127
    if shutil.which(command[0], path=inherited({}).get("PATH")) is None:
        raise WattlineError(f"there is no {command[0]} here; load its module, or unpack the image where there is one")
    if code:
        raise WattlineError(f"{command[0]} failed with exit code {code}: {' '.join(lines[-2:])[-300:]}")


def _stamp(image: Path, kind: str) -> Path:
    return image / "ch" / STAMP if kind == "charliecloud" else image.with_name(f"{image.name}.{STAMP}")


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """A path beside `target`; what is made there takes its place when the block ends well, and vanishes otherwise."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    former = target.with_name(f".{target.name}.{os.getpid()}.former")
    try:
        yield fresh
        if not fresh.exists():
            raise WattlineError(f"nothing was made at {shown(target)}")
        if target.exists():
            target.rename(former)
        fresh.rename(target)
    finally:
        for path in (fresh, former):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
