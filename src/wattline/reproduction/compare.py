"""Every output of the pipeline beside the one that was registered, in the order of the pipeline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wattline import files, objects
from wattline.recorded import compare
from wattline.reproduction import champion, magnitude
from wattline.reproduction.originals import Originals, contents
from wattline.reproduction.pipeline import Output, Stage
from wattline.reproduction.recipe import Recipe
from wattline.reproduction.result import ChampionUse, Compared

GONE = "the registered bytes are neither in DVC's cache nor in git; only the digests can be compared"
FILES = 10
"""Files of one output that are looked into."""
UNCOMPARED = "shows the champion, whose files were not given"


@dataclass(frozen=True)
class Reproduced:
    """Where new outputs lie and what they are held against.

    champion: whether the candidate was compared with the same one again
    """

    root: Path
    recipe: Recipe
    originals: Originals
    champion: ChampionUse


def outputs(stages: Sequence[Stage], made: Reproduced) -> tuple[Compared, ...]:
    """Compare the outputs of `stages`; of computed ones, only those of the first stage that differs are looked into."""
    compared: list[Compared] = []
    for stage in stages:
        explain = all(one.outcome != "different" for one in compared)
        compared += [one(stage, output, made, explain=explain) for output in stage.outputs]
    return tuple(compared)


def one(stage: Stage, output: Output, made: Reproduced, *, explain: bool) -> Compared:
    """Compare one output.

    explain: say by how much it differs
    """
    found = objects.digest(made.root / output.path)
    result = Compared(stage=stage.name, path=output.path, outcome="identical", registered=output.md5, found=found)
    if found == output.md5:
        return _beside_candidate(result, made)
    if output.measured and found:
        return result.model_copy(update={"outcome": "measured", "details": _figures(output, made)})
    if made.champion == "files not given" and str(files.CHAMPION) in stage.dependencies and found:
        return _without_champion(result, output, made)
    details = tuple(_details(output, made)) if explain else ()
    return result.model_copy(update={"outcome": "different", "details": details})


def _beside_candidate(result: Compared, made: Reproduced) -> Compared:
    """Files of the candidate have two records: DVC's MD5 and Wattline's SHA-256."""
    if result.path != str(files.CANDIDATE):
        return result
    check = compare(made.root / files.CANDIDATE, made.recipe.candidate.files)
    if check.holds:
        return result
    name = Path(check.name).relative_to(made.root)
    detail = f"{name} has SHA-256 {check.found[:12] or 'none'}, the version's candidate {check.expected[:12]}"
    return result.model_copy(update={"outcome": "different", "details": (detail,)})


def _figures(output: Output, made: Reproduced) -> tuple[str, ...]:
    """Both figures of a measurement, where it is a report and the registered one is there."""
    registered = made.originals.find(output).get(".")
    if registered is None or Path(output.path).suffix != ".json":
        return ()
    return magnitude.describe(registered, made.root / output.path, kind=".json")


def _without_champion(result: Compared, output: Output, made: Reproduced) -> Compared:
    registered = made.originals.find(output).get(".")
    if registered is None or output.path != str(files.report_path("evaluate")):
        return result.model_copy(update={"outcome": "not compared", "details": (UNCOMPARED,)})
    differences = champion.without(registered, made.root / output.path)
    if differences:
        return result.model_copy(update={"outcome": "different", "details": differences})
    details = ("equal in all but what it says of the champion, whose files were not given",)
    return result.model_copy(update={"outcome": "not compared", "details": details})


def _details(output: Output, made: Reproduced) -> Iterator[str]:
    """By how much the files of an output differ from the registered ones."""
    registered, found = made.originals.find(output), contents(made.root / output.path)
    if not found:
        yield "it was not written"
        return
    if not registered:
        yield GONE
        return
    differing = [name for name in sorted(registered.keys() | found.keys()) if not _equal(registered, found, name)]
    for name in differing[:FILES]:
        shown = "" if name == "." else f"{name}: "
        if name not in found or name not in registered:
            yield f"{shown}{'absent' if name not in found else 'was not there'}"
        else:
            kind = Path(output.path if name == "." else name).suffix
            yield from (f"{shown}{text}" for text in magnitude.describe(registered[name], found[name], kind=kind))
    if len(differing) > FILES:
        yield f"{len(differing) - FILES} more files differ"


def _equal(registered: Mapping[str, Path], found: Mapping[str, Path], name: str) -> bool:
    if name not in registered or name not in found:
        return False
    return objects.file_digest(registered[name]) == objects.file_digest(found[name])
