"""A deployment ends with an image that answers rightly: the new one, or the one before it."""

import fcntl

import pytest

from tests.deployment.world import PRODUCTION, World, wattline
from wattline.deployment import deploying
from wattline.deployment.failure import DeploymentError
from wattline.deployment.reference import Reference
from wattline.deployment.state import Release
from wattline.deployment.target import opened
from wattline.errors import InputError, IntegrityError

NAME = "production"
quiet = []


def deploy(world: World, image: Reference) -> Release:
    with opened(world.loaded, NAME, image=image, say=quiet.append) as target:
        return deploying.deploy(target, image)


def restore(world: World) -> Release | None:
    with opened(world.loaded, NAME, say=quiet.append) as target:
        return deploying.restore(target)


def runs(world: World, image: Reference | None) -> bool:
    """Whether this image alone is there, and the state says so."""
    current = world.state().current
    wanted = {PRODUCTION: str(image)} if image is not None else {}
    return (world.containers(), current and current.image) == (wanted, image and str(image))


def test_a_deployment_its_repetition_the_next_one_and_the_way_back(world: World):
    first, second = (world.image(world.version(weights)) for weights in (b"one", b"two"))
    found = deploy(world, first)
    assert (found.version, found.commit, runs(world, first)) == ("1", "c" * 40, True)
    world.calls()
    deploy(world, first)
    assert "run" not in world.calls(), "what runs already is left alone"
    deploy(world, second)
    state = world.state()
    assert runs(world, second)
    assert [one.version for one in state.previous] == ["1"]
    with opened(world.loaded, NAME, say=quiet.append) as target:
        deploying.rollback(target, reason="night")
        assert runs(world, first)
        with pytest.raises(InputError, match="no image before"):
            deploying.rollback(target)
        deploying.stop(target)
    assert runs(world, None)
    assert [event.action for event in world.state().history] == ["deploy", "deploy", "rollback", "stop"]
    with opened(world.loaded, NAME, say=quiet.append) as target:
        assert deploying.rollback(target).version == "1", "what was stopped can be gone back to"


def test_one_that_cannot_start_changes_nothing_and_one_that_fails_in_its_place_is_taken_back(world: World):
    version = world.version(b"one")
    good, bad = world.image(version), world.image(version, wrong="everywhere")
    with pytest.raises(
        DeploymentError, match=r"nothing ran before: container .*-trial ended; it said: it cannot start"
    ):
        deploy(world, bad)
    worse = world.image(version, wrong="in place")
    with pytest.raises(DeploymentError, match="nothing ran before it, so nothing runs now"):
        deploy(world, worse)
    assert runs(world, None)
    deploy(world, good)
    with pytest.raises(DeploymentError, match="version 1 goes on"):
        deploy(world, bad)
    assert runs(world, good)
    with pytest.raises(DeploymentError, match=f"version 1 .{good.short}. is back and answers rightly"):
        deploy(world, worse)
    assert runs(world, good)
    assert [event.action for event in world.state().history] == ["failed", "failed", "deploy", "failed", "failed"]
    assert "it cannot start" in world.state().history[-1].reason


def test_killed_anywhere_it_can_be_undone_or_repeated(world: World):
    first, second = (world.image(world.version(weights)) for weights in (b"one", b"two"))
    deploy(world, first)
    world.kill_at(f"after run {PRODUCTION}")
    assert wattline("deploy", NAME, str(second)).returncode == -9
    assert world.state().pending == str(second)
    assert restore(world) is not None
    assert runs(world, first)
    world.kill_at(f"before run {PRODUCTION}")
    assert wattline("deploy", NAME, str(second)).returncode == -9
    deploy(world, second)
    assert runs(world, second)
    assert world.state().pending is None
    assert [one.version for one in world.state().previous] == ["1"]


def test_an_image_that_is_not_what_it_says_is_not_even_started(world: World):
    version = world.version(b"one")
    with pytest.raises(IntegrityError, match=r"its label io.wattline.model.version says 7"):
        deploy(world, world.image(version, **{"io.wattline.model.version": "7"}))
    altered = world.image(version)
    graph = world.folder / "fetched" / version / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=r"model.onnx"):
        deploy(world, altered)
    assert "run" not in world.calls()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["production", "registry.example.org/wattline:production"], "names no image by digest"),
        (["production", f"wattline@sha256:{'0' * 64}"], "not HOST/PATH of an image repository"),
        (["elsewhere", f"registry.example.org/wattline@sha256:{'0' * 64}"], "is no environment; name one of staging"),
        (["production"], "say what to deploy"),
        (["production", "--stop", "--restore"], "one of them only"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(world: World, arguments: list[str], reason: str):
    done = wattline("deploy", *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert reason in done.stderr


def test_without_a_key_nothing_is_touched(world: World, monkeypatch: pytest.MonkeyPatch):
    image = world.image(world.version(b"one"))
    monkeypatch.delenv("WATTLINE_API_KEY")
    done = wattline("deploy", NAME, str(image))
    assert (done.returncode, "WATTLINE_API_KEY is not set" in done.stderr, world.calls()) == (2, True, [])


def test_two_at_once_are_one_too_many(world: World):
    image = world.image(world.version(b"one"))
    (world.folder / NAME).mkdir()
    with (world.folder / NAME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DeploymentError, match="another deployment is at work"):
            deploy(world, image)
