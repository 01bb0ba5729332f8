"""What the verbs of the serving host do: open what is needed, call one thing, say how it went."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wattline import files
from wattline.deployment import accepting, building, container, deploying, promoting
from wattline.deployment import smoke as smoking
from wattline.deployment.images import Images
from wattline.deployment.model import of_folder
from wattline.deployment.reference import Reference, Repository
from wattline.deployment.smoke import Check
from wattline.deployment.target import Say, Target, knobs_of, opened
from wattline.errors import InputError
from wattline.params import Params
from wattline.registry import model as registry
from wattline.registry.model import Model
from wattline.settings import settings

PRODUCTION = "production"


def deploy(
    loaded: Params,
    name: str,
    image: str | None,
    *,
    stop: bool = False,
    restore: bool = False,
    dotenv: Path | None = None,
    say: Say,
) -> None:
    """Deploy `image`, or end or restore what is there. Raises InputError unless just one of the three is asked for."""
    if [image is not None, stop, restore].count(True) != 1:
        raise InputError(
            "say what to deploy: an image REPOSITORY@sha256:..., or --stop, or --restore, and one of them only"
        )
    reference = Reference.parse(image) if image is not None else None
    with opened(loaded, name, image=reference, say=say) as target:
        if reference is not None:
            deploying.deploy(target, reference)
        elif stop:
            deploying.stop(target)
            say(f"{name}: stopped")
        else:
            running = deploying.restore(target)
            say(f"{name}: {f'version {running.version} runs' if running is not None else 'nothing is to run'}")
        if dotenv is not None:
            files.write_text(dotenv, f"WATTLINE_{name.upper()}_URL={container.url(target.environment)}\n")


def smoke(loaded: Params, url: str, folder: Path) -> list[Check]:
    """Ask the server at `url`, which should be the model in `folder`."""
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is no address of a server; give http://HOST:PORT or https://HOST")
    return smoking.smoke(url.rstrip("/"), of_folder(folder, loaded), key=settings().api_key, guarded=False)


def acceptance(loaded: Params, name: str, *, say: Say) -> int:
    """Write reports/ci/acceptance.json about what runs there; the exit code."""
    with opened(loaded, name, say=say) as target:
        found = accepting.accept(target)
    accepting.write(found)
    for line in accepting.lines(found):
        say(line)
    return found.exit_code


def image(loaded: Params, version: str, *, dotenv: Path | None, say: Say) -> None:
    """Build and push the image of `version`."""
    reference = building.make(loaded, version, say=say)
    if dotenv is not None:
        files.write_text(dotenv, f"WATTLINE_IMAGE={reference}\n")


def promote(loaded: Params, image: str, *, say: Say) -> None:
    """Promote `image`."""
    reference = Reference.parse(image)
    promoting.check_accepted(reference, knobs_of(loaded).limits)
    with _production(loaded, reference, say=say) as (target, model, images):
        version = promoting.promote(target, model, images, reference)
    say(f"promoted: {loaded.model} version {version} is champion and answers in production")


def rollback(loaded: Params, *, reason: str, say: Say) -> None:
    """Go back in production."""
    with _production(loaded, None, say=say) as (target, model, images):
        found = promoting.rollback(target, model, images, reason=reason)
    say(f"rolled back: {loaded.model} version {found.version} is champion and answers in production")


def recover(loaded: Params, *, say: Say) -> None:
    """Bring production into a consistent state."""
    with _production(loaded, None, say=say) as (target, model, images):
        found = promoting.recover(target, model, images)
    say(f"recovered: production runs {found}")


@contextmanager
def _production(loaded: Params, image: Reference | None, *, say: Say) -> Iterator[tuple[Target, Model, Images]]:
    known = settings()
    with (
        opened(loaded, PRODUCTION, image=image, say=say) as target,
        registry.of_project(loaded) as model,
        Images(_repository(target, image), known) as images,
    ):
        yield target, model, images


def _repository(target: Target, image: Reference | None) -> Repository:
    """That of the image, of what runs, or else of the project."""
    if image is not None:
        return image.repository
    current = target.place.read().current
    return Reference.parse(current.image).repository if current is not None else Repository.of_project(settings())
