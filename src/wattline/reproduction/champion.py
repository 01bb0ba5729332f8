"""The champion that a candidate was compared with: its files for the worktree, and what follows without them."""

import json
import shutil
from pathlib import Path
from typing import Any

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.recorded import compare
from wattline.records import Candidate
from wattline.reproduction.magnitude import json_differences, sentences
from wattline.reproduction.recipe import Recipe
from wattline.reproduction.result import ChampionUse

RECORD = "champion.json"


def place(recipe: Recipe, source: Path | None, root: Path) -> ChampionUse:
    """Fill champion/ below `root` with what the candidate was compared with.

    source: folder with the champion's files
    Raises InputError when they are another model's, IntegrityError when they are not what their record says.
    """
    destination = root / files.CHAMPION
    if recipe.champion.version is not None:
        if source is None:
            return "files not given"
        check(recipe, source)
        shutil.copytree(source, destination, dirs_exist_ok=True, copy_function=shutil.copyfile)
    files.write_text(destination / RECORD, recipe.champion.to_json())
    return "none" if recipe.champion.version is None else "compared"


def check(recipe: Recipe, source: Path) -> None:
    """Hold the files in `source` against the digest in the evaluation."""
    candidate = files.read_record(source / "candidate.json", Candidate)
    if candidate.digest != recipe.champion.digest:
        raise InputError(
            f"{source} holds the model {candidate.digest[:12]}, {recipe} was compared with "
            f"{(recipe.champion.digest or 'none')[:12]} (version {recipe.champion.version}); give the files of that one"
        )
    found = compare(source, candidate.files)
    if not found.holds:
        raise IntegrityError(f"{found.name} has not the SHA-256 that candidate.json says; fetch the champion again")


def without(registered: Path, found: Path) -> tuple[str, ...]:
    """What differs in two evaluations beside what they say of the champion; empty when that is all."""
    return sentences(list(json_differences(_stripped(registered), _stripped(found))))


def _stripped(path: Path) -> dict[str, Any]:
    evaluation: dict[str, Any] = json.loads(path.read_bytes())
    contenders = {name: scores for name, scores in evaluation["contenders"].items() if name != "champion"}
    return evaluation | {"champion": None, "versus_champion": None, "contenders": contenders}
