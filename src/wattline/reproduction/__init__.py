"""A version made again from its commit, lock and data, and held against what was registered byte by byte."""

from pathlib import Path

from wattline import files
from wattline.environment import Environment
from wattline.objects import Cache
from wattline.reproduction import champion, checks, compare, data, environment, pipeline, rerun, worktree
from wattline.reproduction.commands import Place, Say
from wattline.reproduction.compare import Reproduced
from wattline.reproduction.originals import Originals, arranged
from wattline.reproduction.pipeline import Stage
from wattline.reproduction.recipe import Options, Recipe
from wattline.reproduction.result import DataOrigin, Result, all_identical, first_difference

__all__ = ["Environment", "Options", "Recipe", "Result", "reproduce"]

DEFAULTS = Options()
COMMITTED = "committed"
"""Where outputs lie that the commit itself holds."""


def reproduce(recipe: Recipe, *, options: Options = DEFAULTS, say: Say = print) -> Result:
    """Make the version of `recipe` again in a clean worktree of this folder's repository, and compare every output.

    say: takes each line that the pipeline prints
    Raises InputError when the version cannot be reproduced here, IntegrityError when its data is damaged, WattlineError
    when a stage fails. The worktree is removed in any case, unless it is to be kept.
    """
    stages = checks.check(recipe)
    with worktree.checkout(recipe.commit, keep=options.keep, say=say) as place:
        rerun.prepare(stages, recipe.lock, place=place, committed=place.private / COMMITTED)
        interpreter, python = environment.choose(options.environment, place, say=say)
        used = environment.installed(python, place.root)
        against = champion.place(recipe, options.champion, place.root)
        changes = rerun.changes(place=place, python=python)
        cache = data.project_cache(Path.cwd(), python)
        origin = _run(recipe, stages, place=place, cache=cache, python=python, say=say)
        outputs = compare.outputs(
            _made(stages, origin),
            Reproduced(place.root, recipe, Originals(cache, _folders(place, options)), against),
        )
        running = [stage.name for stage in stages if stage in _made(stages, origin)]
    return Result(
        name=recipe.name,
        version=recipe.version,
        commit=recipe.commit,
        identical=all_identical(outputs),
        first=first_difference(outputs),
        data=origin,
        interpreter=interpreter,
        environment=environment.differences(recipe.environment, used),
        sources=rerun.changed_sources(changes, stages, running=running),
        champion=against,
        outputs=outputs,
    )


def _run(
    recipe: Recipe, stages: tuple[Stage, ...], *, place: Place, cache: Cache, python: Path, say: Say
) -> DataOrigin:
    """Bring the raw rows, and run every stage after the one that wrote them."""
    made = pipeline.maker(stages, str(files.RAW))
    origin = data.bring(recipe, made, place=place, cache=cache, python=python, say=say)
    rerun.run([stage.name for stage in stages if stage != made[0]], place=place, python=python, say=say)
    return origin


def _made(stages: tuple[Stage, ...], origin: DataOrigin) -> tuple[Stage, ...]:
    """The pipeline; where the rows were kept, without what the stage that wrote them says of them."""
    if origin == "ingested again":
        return stages
    ingest, rows = pipeline.maker(stages, str(files.RAW))
    return tuple(stage.model_copy(update={"outputs": (rows,)}) if stage == ingest else stage for stage in stages)


def _folders(place: Place, options: Options) -> tuple[Path, ...]:
    """Folders like the project that may still hold registered outputs."""
    folders = (place.private / COMMITTED, Path.cwd())
    if options.evidence is None:
        return folders
    return (*folders, arranged(options.evidence, place.private / "evidence"))
