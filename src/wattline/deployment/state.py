"""What runs in an environment and what ran before, in one file that is replaced whole; and who may change it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime

from wattline import files
from wattline.deployment.failure import DeploymentError
from wattline.deployment.reference import Reference
from wattline.errors import InputError
from wattline.params import EnvironmentParams
from wattline.records import Record
from wattline.registry.actors import actor
from wattline.settings import settings

FILE = "state.json"
KEPT_RELEASES, KEPT_EVENTS = 20, 500


class Release(Record):
    """One image that ran, and answered rightly.

    image: by digest
    model, version, digest: of the registered model in it; commit: of the code
    at: when it began to answer; who, pipeline: by whom
    """

    image: str
    model: str
    version: str
    digest: str
    commit: str
    at: AwareDatetime
    who: str
    pipeline: str | None = None


class Event(Record):
    """One thing that was done, or tried."""

    at: AwareDatetime
    action: Literal["deploy", "failed", "rollback", "restore", "stop"]
    image: str | None
    who: str
    pipeline: str | None
    reason: str = ""


class State(Record):
    """Content of the file.

    current: what answers callers; None where nothing was deployed, or it was stopped
    previous: what did before, the newest first; a rollback takes the first one off
    pending: an image that is being put in the place of `current`: who finds it was preceded by one who was killed
    """

    current: Release | None = None
    previous: tuple[Release, ...] = ()
    pending: str | None = None
    history: tuple[Event, ...] = ()

    def told(self, action: str, image: str | None, *, reason: str = "") -> "State":
        """The same with one more event."""
        who, pipeline = whose()
        event = Event.model_validate(
            {"at": now(), "action": action, "image": image, "who": who, "pipeline": pipeline, "reason": reason[:1000]}
        )
        return self.model_copy(update={"history": (*self.history, event)[-KEPT_EVENTS:]})

    def released(self, release: Release) -> "State":
        """The same with `release` as what answers."""
        before = (self.current, *self.previous) if self.current else self.previous
        others = tuple(one for one in before if one.image != release.image)
        return self.model_copy(update={"current": release, "previous": others[:KEPT_RELEASES], "pending": None})

    def returned(self, release: Release) -> "State":
        """The same after a way back to `release`: what came after it is not gone back to again."""
        images = [one.image for one in self.previous]
        left = self.previous[images.index(release.image) + 1 :] if release.image in images else self.previous
        return self.model_copy(update={"current": release, "previous": left, "pending": None})


class Place:
    """The folder of an environment's state."""

    def __init__(self, environment: EnvironmentParams) -> None:
        self.folder = Path(environment.state).expanduser()

    def read(self) -> State:
        """What is known. Raises InputError when the file cannot be read as such."""
        path = self.folder / FILE
        return files.read_record(path, State) if path.exists() else State()

    def write(self, state: State) -> None:
        """Replace it in one step."""
        files.write_text(self.folder / FILE, state.to_json())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else on this host out. Raises DeploymentError when somebody is at it."""
        if not self.folder.is_absolute():
            raise InputError(
                f"deployment: state is {str(self.folder)!r}; give an absolute folder outside the checkout, or ~/..."
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        refusal = DeploymentError(
            f"another deployment is at work in {self.folder}; wait for it, and give its jobs one resource_group"
        )
        with files.held(self.folder / "lock", refusal=refusal):
            yield


def release(image: Reference, *, model: str, version: str, digest: str, commit: str) -> Release:
    """A release as of now, by who runs this."""
    who, pipeline = whose()
    return Release(
        image=str(image),
        model=model,
        version=version,
        digest=digest,
        commit=commit,
        at=now(),
        who=who,
        pipeline=pipeline,
    )


def whose() -> tuple[str, str | None]:
    """Who does this, and in which pipeline."""
    return actor().name, settings().ci_pipeline_url


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
