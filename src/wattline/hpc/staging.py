"""Everything that nodes without a way out need, brought to where they see it: `wattline stage-in`."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from wattline import files, params
from wattline.errors import WattlineError
from wattline.hpc import caching, image, packages
from wattline.hpc.staged import Staged, place, refusal, shown, size, weight
from wattline.interruption import Say
from wattline.params import Params
from wattline.registry import fetching
from wattline.registry.earlier import fetch_earlier
from wattline.settings import settings
from wattline.sites import Profile, load
from wattline.sources import check_names, open_source

CONDA = "conda create --prefix {path} python=3.11, then {path}/bin/pip install --require-hashes --no-deps -r {lock}"


def stage_in(site: str, *, archive: Path | None = None, say: Say) -> tuple[Staged, ...]:
    """Bring packages, data, the champion and DVC's cache to where the nodes of `site` see them.

    Each is whole or not there, what is there already is left alone, and what fails does not keep the rest back. Run it
    again whenever locks, data or the champion changed.

    archive: what docker/build_train.sh wrote, for a site with an image
    Raises InputError where profile or params.yaml cannot be used: nothing was done then.
    """
    profile, loaded = load(site), params.load()
    if archive is not None:
        image.check(archive, profile.environment.kind)
    return (
        _tried("packages", _environment(profile), lambda: _packages(profile, archive, say)),
        _tried("data", settings().state / "downloads", lambda: _data(loaded)),
        _tried("champion", files.CHAMPION, lambda: _champion(loaded)),
        _tried("cache", Path(profile.cache or caching.FOLDER / "cache"), lambda: caching.stage(profile, say=say)),
        _space(),
    )


def _tried(what: str, where: Path, step: Callable[[], Staged]) -> Staged:
    """What a step says, or why it failed. where: what it writes"""
    try:
        return step()
    except WattlineError as error:
        return Staged(what, str(error), ready=False)
    except (OSError, shutil.Error) as error:
        first = error.args[0][0][2] if isinstance(error, shutil.Error) else None
        return Staged(what, f"{first}; {refusal(OSError(), where)}" if first else refusal(error, where), ready=False)


def _environment(profile: Profile) -> Path:
    return Path(os.path.expandvars(profile.environment.path or "."))


def _packages(profile: Profile, archive: Path | None, say: Say) -> Staged:
    """Make what can be made, and start the job's Python to see what it has."""
    kind = profile.environment.kind
    path = place(profile.environment.path, key="environment.path") if kind != "none" else Path()
    made = ""
    if archive is not None and image.unpack(archive, path, kind=kind, say=say):
        made = f", made of {shown(archive.absolute())}"
    differing = _differing(profile)
    if differing and kind == "venv":
        try:
            packages.build(path, say=say)
        except WattlineError as error:
            return Staged("packages", f"{packages.told(differing)}; {error}", ready=False)
        differing, made = _differing(profile), ", made of the locks"
    if differing:
        return Staged("packages", f"{packages.told(differing)}; {_remedy(profile, path)}", ready=False)
    if kind == "none":
        return Staged("packages", "those of this Python are those of the locks")
    return Staged("packages", f"{kind} at {shown(path)}, {size(weight(path))}, as the locks say{made}")


def _differing(profile: Profile) -> list[str]:
    """How the packages differ from the locks; the reason alone where that Python does not start."""
    try:
        found = packages.look(profile, Path.cwd())
    except WattlineError as error:
        return [str(error)]
    return packages.differences(found)


def _remedy(profile: Profile, path: Path) -> str:
    match profile.environment.kind:
        case "conda":
            return CONDA.format(path=path, lock=f"{packages.LOCKS[0]} -r {packages.LOCKS[1]}")
        case "charliecloud":
            return "docker/build_train.sh build/train.tar, copy it here, then wattline stage-in --image build/train.tar"
        case "apptainer":
            return "docker/build_train.sh build/train.oci.tar, copy it here, then wattline stage-in --image it"
        case _:
            return "run `make setup`"


def _data(loaded: Params) -> Staged:
    """Open the source as `ingest` does: that is when it downloads, and holds every file against its digest."""
    ingest = loaded.block.ingest
    params.load_task(loaded.task)  # whose folder a source of its own lies in
    check_names(name for name in ingest.options if name != ingest.source)
    source = open_source(ingest.source, ingest.options.get(ingest.source, {}), seed=loaded.seed)
    if not source.files:
        return Staged("data", f"{source.name} names no file, ingest makes its rows itself")
    origins = {file.origin for file in source.files}
    where = {
        "download": shown((settings().state / "downloads").absolute()),
        "mirror": f"the mirror {settings().data_mirror}",
        "local": "this file system",
    }
    count, total = len(source.files), size(sum(file.size_bytes for file in source.files))
    places = " and ".join(where.get(origin, origin) for origin in sorted(origins))
    return Staged(
        "data", f"{source.name}: {count} file{'s' * (count != 1)}, {total} in {places}, every digest was compared"
    )


def _champion(loaded: Params) -> Staged:
    """What evaluation and measurement hold the candidate against."""
    found = fetching.fetch_champion(files.CHAMPION, name=loaded.model, params=loaded.registry)
    earlier = fetch_earlier(files.EARLIER, name=loaded.model, trusted_keys=loaded.serving.model.trusted_keys)
    if earlier.unreadable:
        return Staged("champion", f"an earlier version cannot be read: {earlier.unreadable[0]}", ready=False)
    if not found.version:
        return Staged("champion", "there is none yet, so the candidate is held against the baselines alone")
    return Staged(
        "champion", f"version {found.version} of {loaded.model}, {size(weight(files.CHAMPION))} in {files.CHAMPION}"
    )


def _space() -> Staged:
    free = shutil.disk_usage(Path.cwd()).free
    return Staged("space", f"{size(free)} free in the project's file system; your quota may be less")
