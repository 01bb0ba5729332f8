"""Deploy one image: tried beside the one that answers, put in its place, and taken back when it does not answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from wattline.deployment import container, smoke
from wattline.deployment.failure import DeploymentError
from wattline.deployment.model import Model, of_image
from wattline.deployment.reference import Reference
from wattline.deployment.state import Release, State, release
from wattline.deployment.target import Target, check_key
from wattline.errors import InputError, WattlineError

POLL_SECONDS = 0.1


def deploy(target: Target, image: Reference) -> Release:
    """Let `image` answer in this environment, once it has shown beside the one that does that it can.

    Asked for again, also after a kill, it goes on to the same end.
    Raises DeploymentError when it failed and what ran before answers again, saying so; InputError or IntegrityError
    when the image is not what it says, and nothing was touched.
    """
    check_key(target)
    target.engine.remove(container.trial_name(target.environment))
    with _mending(target, image), _pulled(target, image) as model:
        current = target.place.read().current
        if current is not None and current.image == str(image) and _answers(target, image, model):
            target.say(f"{target.name}: version {model.version} ({image.short}) runs already and answers rightly")
            return current
        with _telling(target, image):
            _try(target, image, model)
        target.say(f"{target.name}: version {model.version} ({image.short}) passed its smoke test beside what runs")
        found = release(image, model=model.name, version=model.version, digest=model.digest, commit=model.commit)
        _switch(target, image, model, lambda state: state.released(found).told("deploy", str(image)))
        return found


def rollback(target: Target, *, reason: str = "") -> Release:
    """Let the image before this one answer again, and forget this one as something to go back to.

    Raises InputError when there is none, DeploymentError as `deploy` does.
    """
    check_key(target)
    state = target.place.read()
    if not state.previous:
        raise InputError(f"{target.name} had no image before this one on this host; deploy one by its digest")
    former = state.previous[0]
    image = Reference.parse(former.image)
    target.engine.pull(image)
    with _model(target, image) as model:
        _switch(target, image, model, lambda now: now.returned(former).told("rollback", former.image, reason=reason))
    return former


def restore(target: Target) -> Release | None:
    """Let that run which the state names, after a kill or a restart of the host; what was on trial is removed.

    returns: what runs; None where nothing is to run
    """
    state = target.place.read()
    target.engine.remove(container.trial_name(target.environment))
    if state.current is None:
        target.engine.remove(target.environment.name)
        target.place.write(state.model_copy(update={"pending": None}))
        return None
    check_key(target)
    image = Reference.parse(state.current.image)
    if not _is_live(target, image):
        _start(target, image)
        state = state.told("restore", str(image))
    _check(target, image)
    target.place.write(state.model_copy(update={"pending": None}))
    return state.current


def stop(target: Target) -> None:
    """End the environment's containers. What ran stays known, and can be gone back to."""
    target.engine.remove(container.trial_name(target.environment))
    target.engine.stop(target.environment.name, seconds=target.knobs.stop_seconds)
    target.engine.remove(target.environment.name)
    state = target.place.read()
    if state.current is not None or state.pending is not None:
        before = (state.current, *state.previous) if state.current is not None else state.previous
        image = state.current.image if state.current is not None else state.pending
        stopped = state.model_copy(update={"current": None, "previous": before, "pending": None})
        target.place.write(stopped.told("stop", image))


def _model(target: Target, image: Reference) -> AbstractContextManager[Model]:
    return of_image(target.engine, image, target.loaded, name=f"{target.environment.name}-files")


@contextmanager
def _pulled(target: Target, image: Reference) -> Iterator[Model]:
    target.engine.pull(image)
    with _model(target, image) as model:
        yield model


@contextmanager
def _mending(target: Target, image: Reference) -> Iterator[None]:
    """After a kill it may be that nothing answers: what ran before is brought back, too, when this fails as well."""
    left = target.place.read().pending
    try:
        yield
    except WattlineError as error:
        state = target.place.read()
        if left is None or state.pending is None:
            raise
        raise DeploymentError(f"{error}; {_bring_back(target, state, image, error)}") from None


@contextmanager
def _telling(target: Target, image: Reference) -> Iterator[None]:
    """Keep a failure in the history, and say that what ran goes on."""
    try:
        yield
    except WattlineError as error:
        state = target.place.read()
        target.place.write(state.told("failed", str(image), reason=str(error)))
        runs = f"version {state.current.version} goes on" if state.current is not None else "nothing ran before"
        runs = "after another one that was cut off" if state.pending is not None else runs
        raise type(error)(f"{image.short} was not deployed to {target.name}, {runs}: {error}") from None


def _try(target: Target, image: Reference, model: Model) -> None:
    """Start it beside the one that answers, ask it, and end it. Raises DeploymentError when it fails."""
    name, port = container.trial_name(target.environment), container.free_port()
    try:
        target.engine.run(container.trial(image, target.environment, target.knobs, port=port))
        url = f"http://{container.LOOPBACK}:{port}"
        _await(target, name, url)
        smoke.check(url, model, key=target.key, guarded=bool(target.environment.keys_file))
    finally:
        target.engine.remove(name)


def _switch(target: Target, image: Reference, model: Model, settle: Callable[[State], State]) -> None:
    """Put `image` in the place of what runs; back again when it does not answer there, or when this process is ended.

    settle: the state afterwards
    """
    before = target.place.read()
    target.place.write(before.model_copy(update={"pending": str(image)}))
    try:
        gap = _start(target, image)
        smoke.check(
            container.url(target.environment), model, key=target.key, guarded=bool(target.environment.keys_file)
        )
    except BaseException as error:
        ending = _bring_back(target, before, image, error)
        if isinstance(error, WattlineError):
            raise DeploymentError(f"{image.short} failed in {target.name}: {error}; {ending}") from None
        target.say(f"{target.name}: ended from outside; {ending}")
        raise
    target.place.write(settle(before))
    target.say(f"{target.name}: {container.url(target.environment)} answers as {model.name} version {model.version}")
    target.say(f"{target.name}: nobody was answered for {gap:.1f} s (measured)")


def _bring_back(target: Target, before: State, failed: Reference, error: BaseException) -> str:
    """Let that run which ran before; how that went."""
    told = before.told("failed", str(failed), reason=str(error) or type(error).__name__)
    if before.current is None:
        target.engine.remove(target.environment.name)
        target.place.write(told.model_copy(update={"pending": None}))
        return "nothing ran before it, so nothing runs now"
    # `pending` stays until the former one answers: the state names it, but whether it runs is not known.
    target.place.write(told.model_copy(update={"pending": str(failed)}))
    image = Reference.parse(before.current.image)
    try:
        target.engine.pull(image)
        _start(target, image)
        _check(target, image)
    except WattlineError as second:
        return (
            f"version {before.current.version} ({image.short}) could NOT be brought back: {second}; run "
            f"`wattline deploy --restore {target.name}` on this host"
        )
    target.place.write(told.model_copy(update={"pending": None}))
    return f"version {before.current.version} ({image.short}) is back and answers rightly"


def _start(target: Target, image: Reference) -> float:
    """End what runs and start `image` there; for how long nobody was answered [s]."""
    environment = target.environment
    arguments = container.live(image, environment, target.knobs)
    began = time.monotonic()
    target.engine.stop(environment.name, seconds=target.knobs.stop_seconds)
    target.engine.remove(environment.name)
    target.engine.run(arguments)
    _await(target, environment.name, container.local_url(environment))
    return time.monotonic() - began


def _check(target: Target, image: Reference) -> None:
    """Smoke what runs as the model of `image`."""
    with _model(target, image) as model:
        smoke.check(
            container.url(target.environment), model, key=target.key, guarded=bool(target.environment.keys_file)
        )


def _answers(target: Target, image: Reference, model: Model) -> bool:
    """Whether just this runs in the environment already, and passes."""
    if target.place.read().pending is not None or not _is_live(target, image):
        return False
    url, guarded = container.url(target.environment), bool(target.environment.keys_file)
    return all(one.passed for one in smoke.smoke(url, model, key=target.key, guarded=guarded))


def _is_live(target: Target, image: Reference) -> bool:
    found = target.engine.container(target.environment.name)
    wanted = container.fingerprint(container.live(image, target.environment, target.knobs))
    return found is not None and found.runs and found.fingerprint == wanted


def _await(target: Target, name: str, url: str) -> None:
    """Return once /readyz is answered 200. Raises DeploymentError with the last words of one that ends or hangs."""
    overdue = time.monotonic() + target.knobs.ready_seconds
    while smoke.status(url, "/readyz") != 200:
        found = target.engine.container(name)
        if found is None or not found.runs or time.monotonic() > overdue:
            state = "runs, but was not ready in time" if found is not None and found.runs else "ended"
            raise DeploymentError(f"container {name} {state}; it said: {target.engine.last_words(name)}")
        time.sleep(POLL_SECONDS)
