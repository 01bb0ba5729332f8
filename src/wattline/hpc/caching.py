"""DVC's cache where login node and nodes see it, with what a remote has of this commit."""

import os
import shutil
import sys
from pathlib import Path

from wattline.errors import InputError, WattlineError
from wattline.gitlab import dvc_remote
from wattline.hpc.staged import Staged, place, shown, size, weight
from wattline.interruption import Say, streamed
from wattline.settings import settings
from wattline.sites import Profile

FOLDER = Path(".dvc")
LOCK = Path("dvc.lock")


def stage(profile: Profile, *, say: Say) -> Staged:
    """Move the project's cache to where the profile says, and fetch into it what a remote has of dvc.lock."""
    if not FOLDER.is_dir():
        raise InputError(f"{Path.cwd()} holds no DVC project; run this in the root of the repository")
    cache = _located(profile)
    fetched = _fetched(say)
    objects = [path for path in cache.rglob("*") if path.is_file()]
    there = f"{len(objects)} objects, {size(weight(cache))} in {shown(cache)}"
    return Staged("cache", f"{there}; {fetched}")


def _located(profile: Profile) -> Path:
    """The cache's folder, which is made."""
    from dvc.config import Config

    config = Config(dvc_dir=str(FOLDER.resolve()))
    former = Path(config["cache"].get("dir") or FOLDER / "cache").absolute()
    cache = place(profile.cache, key="cache") if profile.cache else former
    cache.mkdir(parents=True, exist_ok=True)
    if cache != former:
        _copied(former, cache)
        with config.edit("local") as local:
            local.setdefault("cache", {})["dir"] = str(cache)
    return cache


def _copied(former: Path, cache: Path) -> None:
    """Copy what the new cache lacks. An object appears whole or not at all, as others read the cache meanwhile."""
    for path in sorted(former.rglob("*")):
        target = cache / path.relative_to(former)
        if not path.is_file() or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            shutil.copy2(path, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _fetched(say: Say) -> str:
    """What came from the remote, as words."""
    if not LOCK.is_file():
        return "there is no dvc.lock yet, so there is nothing to fetch"
    remote = dvc_remote.configure(settings())
    if remote is None:
        return "no remote is configured, nothing was fetched"
    command = [sys.executable, "-m", "dvc", "fetch", "--quiet"]
    if code := streamed(command, folder=Path.cwd(), say=say):
        raise WattlineError(
            f"remote {remote} did not give all of dvc.lock, exit code {code}; `dvc repro` makes the rest"
        )
    return f"all of dvc.lock is there, from remote {remote}"
