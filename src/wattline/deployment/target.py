"""An environment on this host, open for changes by one process alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from wattline.deployment import credentials
from wattline.deployment.engine import Engine
from wattline.deployment.reference import Reference
from wattline.deployment.state import Place
from wattline.errors import InputError
from wattline.interruption import ended_by_sigterm
from wattline.params import DeploymentParams, EnvironmentParams, Params
from wattline.settings import settings

NAMES = ("staging", "production")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """What every step of a deployment needs.

    key: what its server is asked with; None where it asks for none
    say: tells a person how far it is
    """

    name: str
    environment: EnvironmentParams
    knobs: DeploymentParams
    engine: Engine
    place: Place
    loaded: Params
    key: SecretStr | None
    say: Say


@contextmanager
def opened(loaded: Params, name: str, *, image: Reference | None = None, say: Say) -> Iterator[Target]:
    """Open environment `name`, which nobody else on this host changes meanwhile. SIGTERM ends the block in order.

    image: what will be deployed; by default what runs
    Raises InputError naming what is not set, DeploymentError when somebody else is at work.
    """
    environment, known = environment_of(loaded, name), settings()
    knobs, place = knobs_of(loaded), Place(environment)
    with place.locked(), ended_by_sigterm():
        current = place.read().current
        here = image or (Reference.parse(current.image) if current is not None else None)
        if here is None:
            yield Target(name, environment, knobs, Engine(knobs.engine), place, loaded, known.api_key, say)
            return
        with credentials.environment(here.repository, known) as variables:
            yield Target(name, environment, knobs, Engine(knobs.engine, variables), place, loaded, known.api_key, say)


def knobs_of(loaded: Params) -> DeploymentParams:
    """The section `deployment`. Raises InputError where there is none."""
    if loaded.deployment is None:
        raise InputError("params.yaml: deployment is null, so nothing is deployed from here; see docs/deployment.md")
    return loaded.deployment


def environment_of(loaded: Params, name: str) -> EnvironmentParams:
    """The knobs of one environment. Raises InputError for a name that is none."""
    if name not in NAMES:
        raise InputError(f"{name!r} is no environment; name one of {', '.join(NAMES)}")
    found: EnvironmentParams = getattr(knobs_of(loaded), name)
    return found


def check_key(target: Target) -> None:
    """Raise InputError when the server will want a key that is not set: before anything was touched."""
    if target.environment.keys_file and target.key is None:
        raise InputError(
            f"WATTLINE_API_KEY is not set, so that {target.name} could not be tested; make a key on its host with "
            "`wattline apikey NAME --role predict --role audit` and set it as a masked variable"
        )
