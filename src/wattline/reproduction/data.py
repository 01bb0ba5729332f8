"""Raw rows by their id: from DVC's cache or its remote, or read from the source again. Never believed unverified."""

import shutil
import subprocess
from pathlib import Path

from pydantic import ValidationError

from wattline import files, objects, partitions, splits
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.objects import Cache
from wattline.recorded import compare
from wattline.records import Dataset
from wattline.reproduction import rerun
from wattline.reproduction.commands import Place, Say, dvc, streamed
from wattline.reproduction.pipeline import Output, Stage
from wattline.reproduction.recipe import Recipe
from wattline.reproduction.result import DataOrigin


def project_cache(project: Path, python: Path) -> Cache:
    """The DVC cache of the user's project. Raises WattlineError when DVC does not know it."""
    command = ["env", "DVC_NO_ANALYTICS=1", str(python), "-m", "dvc", "cache", "dir"]
    said = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if said.returncode:
        raise WattlineError(f"{project} has no DVC cache: {said.stderr.strip()[-200:]}; run this in the project's root")
    return Cache((project / said.stdout.strip()).resolve())


def bring(
    recipe: Recipe, made: tuple[Stage, Output], *, place: Place, cache: Cache, python: Path, say: Say
) -> DataOrigin:
    """Put the raw rows of `recipe` into the worktree.

    made: the stage that wrote them, and its output
    Raises IntegrityError naming the file whose bytes are not those that were recorded, InputError when the rows are
    kept nowhere and the source does not give them any more.
    """
    stage, output = made
    origin: DataOrigin = "cache"
    if not cache.holds(output.md5):
        origin = "remote"
        fetch(stage.name, place=place, cache=cache, python=python, say=say)
    if cache.holds(output.md5):
        copy(cache, output.md5, place.root / output.path)
        verify(recipe, output, root=place.root, cache=cache)
        return origin
    say(f"data: {output.path} is neither in DVC's cache nor in a remote; {stage.name} reads the source again")
    _ingest(recipe, stage, place=place, python=python, say=say)
    return "ingested again"


def fetch(stage: str, *, place: Place, cache: Cache, python: Path, say: Say) -> None:
    """Ask the project's remotes for what `stage` wrote. Without a remote, or without an answer, nothing happens."""
    if not _lend_remotes(Path.cwd(), place, cache):
        return
    try:
        code = streamed(dvc(place, python, "fetch", stage), folder=place.root, say=say)
    finally:
        # Also takes the credentials away again: the worktree may be kept.
        rerun.own_cache(place)
    if code:
        say(f"data: dvc fetch {stage} ended with exit code {code}")


def _lend_remotes(project: Path, place: Place, cache: Cache) -> bool:
    """Give the worktree the project's remotes, with their credentials, and its cache; whether there is a remote.

    Paths become absolute: relative ones would lead elsewhere from the worktree.
    """
    from dvc.config import Config

    known = Config(dvc_dir=str(project / ".dvc"))
    if not known["remote"]:
        return False
    with Config(dvc_dir=str(place.root / ".dvc")).edit("local") as local:
        local["remote"] = known["remote"]
        local["cache"]["dir"] = str(cache.folder)
        if "remote" in known["core"]:
            local["core"]["remote"] = known["core"]["remote"]
    return True


def copy(cache: Cache, md5: str, folder: Path) -> None:
    """Write the files of a folder in the cache to `folder`."""
    for name, one in (cache.entries(md5) or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cache.object(one), folder / name)


def verify(recipe: Recipe, output: Output, *, root: Path, cache: Cache) -> None:
    """Hold rows from the cache against the id of the dataset and against dvc.lock. Raises IntegrityError."""
    entries = cache.entries(output.md5) or {}

    def damaged(name: str) -> IntegrityError:
        place = cache.object(entries.get(name, output.md5))
        return IntegrityError(
            f"{output.path}/{name} of {recipe} is damaged: DVC's cache object {place} does not hold the bytes that "
            "were recorded; delete it and run this again, it is then fetched or made anew"
        )

    try:
        dataset = Dataset.from_json((root / output.path / splits.DATASET).read_bytes())
    except (ValidationError, OSError):
        raise damaged(splits.DATASET) from None
    partitions = {f"{unit.name}.parquet": unit.sha256 for unit in dataset.units}
    check = compare(root / output.path, partitions)
    if dataset.id == recipe.data and not check.holds:
        raise damaged(Path(check.name).name)
    for name, found in objects.listing(root / output.path).items():
        if found != entries.get(name):
            raise damaged(name)
    if dataset.id != recipe.data:
        raise IntegrityError(
            f"dvc.lock of {recipe} names rows with the id {dataset.id[:12]}, the version has {recipe.data[:12]}; "
            "its records contradict each other"
        )


def _ingest(recipe: Recipe, stage: Stage, *, place: Place, python: Path, say: Say) -> None:
    external = Path("data/external")
    if external.is_dir():
        # Files that a source reads, which git ignores; a copy, since the user's are not to be touched.
        shutil.copytree(external, place.root / external, dirs_exist_ok=True)
    for identifier in partitions.known():
        if (partitions.FOLDER / identifier).is_dir():
            # Files are read-only there and here: a link is as good as a copy, and costs nothing.
            target = place.root / partitions.FOLDER / identifier
            shutil.copytree(partitions.FOLDER / identifier, target, copy_function=files.link, dirs_exist_ok=True)
    rerun.run((stage.name,), place=place, python=python, say=say)
    found = splits.read_dataset(place.root / files.RAW).id
    if found != recipe.data:
        raise InputError(
            f"the source of {recipe.dataset} does not give the rows of {recipe} any more: their id is {found[:12]}, "
            f"the version was made from {recipe.data[:12]}; find a DVC cache or remote that still has them"
        )
