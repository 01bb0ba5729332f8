"""The model in an image: taken out of it, and verified by the keys that this project trusts, not the image's own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wattline import signing
from wattline.deployment.engine import Engine
from wattline.deployment.reference import Reference
from wattline.errors import InputError, IntegrityError
from wattline.params import Params
from wattline.serving.inference import contents, golden
from wattline.serving.inference.contents import GOLDEN, Contents
from wattline.serving.inference.golden import Golden

FOLDER = "/app/champion"
DIGEST = "io.wattline.model.digest"
NAME = "io.wattline.model.name"
VERSION = "io.wattline.model.version"
COMMIT = "org.opencontainers.image.revision"


@dataclass(frozen=True)
class Model:
    """A version whose signature holds.

    name, version: of the registered model, as signed
    commit: of the code in its image; "" where it does not come from one
    golden: windows with known answers
    """

    name: str
    version: str
    digest: str
    commit: str
    contents: Contents
    golden: Golden


def of_folder(folder: Path, loaded: Params, *, commit: str = "") -> Model:
    """Verify what lies in `folder`, as `wattline champion` or `wattline fetch` leave it.

    Raises IntegrityError or InputError when bytes, statement or signature do not hold, or when there are no golden
    answers.
    """
    found = contents.read(folder)
    trusted = signing.load_public(loaded.serving.model.trusted_keys)
    said = signing.verify_folder(folder, trusted, candidate=found.candidate, name=loaded.model).predicate
    if GOLDEN not in found.files:
        raise InputError(f"{folder} holds no {GOLDEN}, so that no answer is known; run `dvc repro` and register again")
    answers = contents.parse(found.files[GOLDEN], golden.Golden, place=folder / GOLDEN)
    return Model(said.name, said.version, said.digest, commit, found, answers)


@contextmanager
def of_image(engine: Engine, image: Reference, loaded: Params, *, name: str) -> Iterator[Model]:
    """The model in an image that is on this host. Raises as `of_folder` does, and when a label is not true.

    name: of the container that is made to look inside
    """
    labels = engine.labels(image)
    with (
        tempfile.TemporaryDirectory(prefix="wattline-image-") as temporary,
        engine.unpacked(image, FOLDER, name=name, target=Path(temporary) / "model") as folder,
    ):
        found = of_folder(folder, loaded, commit=labels.get(COMMIT, ""))
        check_labels(labels, found, image=image)
        yield found


def check_labels(labels: dict[str, str], model: Model, *, image: Reference) -> None:
    """Raise IntegrityError when the image says that another model is in it."""
    for label, expected in ((DIGEST, model.digest), (NAME, model.name), (VERSION, model.version)):
        said = labels.get(label, "nothing")
        if said != expected:
            raise IntegrityError(
                f"{image} holds {expected}, its label {label} says {said}; build it with docker/build.sh"
            )
