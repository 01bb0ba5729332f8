"""What is needed to make a registered version again, taken from the registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from wattline import files
from wattline.environment import Environment
from wattline.errors import InputError
from wattline.registry import lookup, statements
from wattline.registry.evidence import ENVIRONMENT, Evidence
from wattline.registry.model import Model
from wattline.registry.moving import ORIGIN
from wattline.registry.stored import downloaded
from wattline.reproduction import Options, Recipe


@contextmanager
def prepared(model: Model, version: str | None, options: Options) -> Iterator[tuple[Recipe, Options]]:
    """The recipe of `version`, or else the challenger, and `options` with the files that it is compared with.

    The files vanish afterwards.
    Raises InputError for a version that holds no recipe or came from another site, IntegrityError when it is damaged.
    """
    chosen = lookup.version(model, version)
    if ORIGIN in chosen.tags:
        raise InputError(
            f"version {chosen.version} of {model.name} came from {chosen.tags[ORIGIN]}; reproduce it there, its commit "
            "and data are not here"
        )
    with downloaded(chosen) as evidence, _champion(model, evidence) as champion:
        statements.verified(chosen, evidence, model.trusted)
        recipe = _recipe(model.name, str(chosen.version), chosen.tags, evidence)
        yield recipe, options.model_copy(update={"champion": champion, "evidence": evidence.folder})


def _recipe(name: str, version: str, tags: dict[str, str], evidence: Evidence) -> Recipe:
    papers = evidence.folder / "provenance"
    for paper in ("dvc.lock", "params.yaml", ENVIRONMENT):
        if not (papers / paper).is_file():
            raise InputError(
                f"version {version} of {name} was registered without {paper}, so that it cannot be made again; run "
                "`dvc repro` and register its candidate from the project's root"
            )
    return Recipe(
        name=name,
        version=version,
        commit=tags.get(statements.COMMIT, "unknown"),
        dirty=tags.get(statements.DIRTY) != "false",
        data=evidence.candidate.data,
        dataset=evidence.candidate.dataset,
        candidate=evidence.candidate,
        champion=evidence.evaluation.champion,
        lock=(papers / "dvc.lock").read_text(),
        params=(papers / "params.yaml").read_text(),
        environment=files.read_record(papers / ENVIRONMENT, Environment),
    )


@contextmanager
def _champion(model: Model, evidence: Evidence) -> Iterator[Path | None]:
    """The files of the champion that the candidate was compared with, as `wattline champion` had fetched them."""
    compared = evidence.evaluation.champion
    found = lookup.by_number(model.client, model.name, compared.version) if compared.version is not None else None
    if found is None:
        yield None
        return
    with TemporaryDirectory(prefix="wattline-") as temporary, downloaded(found) as former:
        folder = Path(temporary) / "champion"
        (former.folder / "candidate").rename(folder)
        files.write_text(folder / "champion.json", compared.to_json())
        yield folder
