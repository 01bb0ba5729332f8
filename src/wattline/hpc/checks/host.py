"""What a profile needs of this host: modules, an environment or image, and folders that can be written to."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wattline.hpc.checks.finding import Finding
from wattline.hpc.commands import Answer, call
from wattline.settings import settings
from wattline.sites import Profile, rules
from wattline.sites.quoting import expanded, words

MINIMUM_FREE_GIB = 1.0
"""Less than this in a folder and a training could not keep its checkpoints for long."""
GIB = 2**30
PROBE_BYTES = 2**20
OWN = frozenset("ext2 ext3 ext4 xfs btrfs tmpfs overlay ramfs zfs f2fs".split())  # noqa: SIM905
"""Kinds of file system that one machine has for itself."""
PYTHON = "3.11"


def findings(profile: Profile, *, elsewhere: bool) -> Iterator[Finding]:
    """What is missing here. elsewhere: whether jobs run on other machines than this one"""
    yield from _modules(profile)
    yield from _environment(profile)
    yield from _folder("scratch", profile.scratch, shared=False)
    yield from _folder("cache", profile.cache, shared=elsewhere)
    if profile.cache:
        yield from _dvc(profile)
    for about, path in (("project", Path.cwd()), ("WATTLINE_STATE", Path.cwd() / settings().state)):
        yield from _place(about, path, shared=elsewhere)
    if not profile.offline:
        yield from _store()


def _shell(*lines: str) -> Answer:
    """Ask a login shell, as the script is one."""
    return call(("bash", "-lc", "\n".join(lines)))


def _modules(profile: Profile) -> Iterator[Finding]:
    if not profile.modules:
        return
    if _shell("command -v module").code:
        says = "there is no command module here; on some systems only compute nodes have it"
        yield Finding("modules", says, missing=False)
        return
    loads = [f"module load {words([name])} > /dev/null 2>&1 || echo {words([name])}" for name in profile.modules]
    for name in _shell("module purge > /dev/null 2>&1", *loads).output.split():
        yield Finding("modules", f"module {name} cannot be loaded; look for its name with: module avail")


def _filled(about: str, text: str) -> tuple[Path | None, Finding | None]:
    """A path with its variables filled in, as a login shell here knows them."""
    answer = _shell("set -u", f"printf %s {expanded(text)}")
    if answer.code == 0:
        path = Path(answer.output)
        return (path if path.is_absolute() else Path.cwd() / path), None
    says = f"{text} names a variable that is not set in a login shell here; if nodes do not set it either, correct it"
    return None, Finding(about, says, missing=False)


def _environment(profile: Profile) -> Iterator[Finding]:
    environment, about = profile.environment, "environment.path"
    if environment.kind == "none":
        return
    if not environment.path:
        yield Finding(about, f"it is empty; name the folder or image that kind {environment.kind} runs in")
        return
    path, unknown = _filled(about, environment.path)
    if path is None:
        yield from filter(None, (unknown,))
    elif environment.kind in ("venv", "conda"):
        yield from _python(path / "bin" / "python", profile)
    elif environment.kind == "charliecloud" and not (path / "usr").is_dir():
        yield Finding(about, f"there is no unpacked image at {path}; run: wattline stage-in")
    elif environment.kind == "apptainer" and not os.access(path, os.R_OK):
        yield Finding(about, f"there is no image at {path}; run: wattline stage-in")


def _python(program: Path, profile: Profile) -> Iterator[Finding]:
    about, kind = "environment.path", profile.environment.kind
    if not os.access(program, os.X_OK):
        yield Finding(about, f"there is no {program}; make the {kind} environment, or run: wattline stage-in")
        return
    question = "import sys; print('%d.%d' % sys.version_info[:2]); import wattline"
    # As in the job: an interpreter may need libraries of the modules.
    loads = [f"module load {words([name])} > /dev/null 2>&1" for name in profile.modules]
    answer = _shell(*loads, f"cd {words([str(Path.cwd())])} && {words([str(program), '-c', question])}")
    if not answer.output.startswith(PYTHON):
        version = answer.output.split()[0] if answer.output else answer.complaint
        yield Finding(about, f"{program} is not Python {PYTHON} ({version}); make the environment anew with it")
    elif answer.code:
        yield Finding(about, f"{program} cannot import wattline ({answer.complaint}); install the project into it")


def _folder(about: str, text: str, *, shared: bool) -> Iterator[Finding]:
    """A folder that the profile names."""
    if not text:
        return
    path, unknown = _filled(about, text)
    if path is None:
        yield from filter(None, (unknown,))
    else:
        yield from _place(about, path, shared=shared)


def _place(about: str, path: Path, *, shared: bool) -> Iterator[Finding]:
    """Whether a folder can be written to, has room, and is seen by the nodes."""
    nearest = next(folder for folder in (path, *path.parents) if folder.exists())
    if problem := _unwritable(nearest):
        yield Finding(about, f"{path} cannot be written to ({problem}); make room there, or name another one")
        return
    free = shutil.disk_usage(nearest).free / GIB
    if free < MINIMUM_FREE_GIB:
        yield Finding(about, f"{path} has {free:.2f} GiB free, less than {MINIMUM_FREE_GIB:g} GiB; make room there")
    kind = file_system(nearest)
    if shared and kind in OWN:
        yield Finding(
            about,
            f"{path} lies on {kind}, a file system that only this machine sees; move it to one that nodes share, "
            "such as $WORK",
        )


def _unwritable(folder: Path) -> str:
    """Why not even a small file can be kept there; "" where it can. A quota that is used up shows only so."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def file_system(path: Path) -> str:
    """The kind of file system that `path` lies on, e.g. ext4 or lustre; "" where that cannot be told."""
    mounts = Path("/proc/self/mounts")
    if not mounts.is_file():
        return ""
    found = ("", "")
    for line in mounts.read_text().splitlines():
        place, kind = line.split()[1:3]
        place = place.replace("\\040", " ")
        if path.resolve().is_relative_to(place) and len(place) >= len(found[0]):
            found = (place, kind)
    return found[1]


def _dvc(profile: Profile) -> Iterator[Finding]:
    """DVC itself has to know of the cache."""
    path, _ = _filled("cache", profile.cache)
    answer = call((sys.executable, "-m", "dvc", "config", "cache.dir"))
    known = answer.output.strip()
    if path is not None and Path(known or ".dvc/cache").resolve() != path.resolve():
        now = known or "inside the project"
        yield Finding(
            "cache", f"DVC's cache is {now} and not {path}; run: dvc config --local cache.dir {words([str(path)])}"
        )


def _store() -> Iterator[Finding]:
    """A password does not travel in a script."""
    known = settings()
    given, address = known.mlflow_tracking_password.get_secret_value(), known.mlflow_tracking_uri or ""
    if given or known.mlflow_tracking_token.get_secret_value() or rules.secret(address):
        yield Finding(
            "offline",
            "the tracking server asks for a password, which a job is not given; set offline to true, and trainings are "
            "sent from here afterwards",
        )
