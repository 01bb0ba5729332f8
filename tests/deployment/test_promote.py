"""Champion, container and tag: all three are the new image's, or all three are the former one's, whatever happens."""

import json
from typing import Any

import pytest
from image_registry import ImageRegistry

from tests.deployment.reports import write_acceptance
from tests.deployment.world import PRODUCTION, World, wattline
from wattline.deployment import verbs
from wattline.deployment.failure import DeploymentError
from wattline.deployment.judging import REPORT
from wattline.deployment.reference import Reference
from wattline.errors import InputError, RejectedError, SupersededError, WattlineError
from wattline.registry import promotion

said: list[str] = []


def release(world: World, images: ImageRegistry, weights: bytes, *, wrong: str = "") -> Reference:
    """A version with an image that is in the registry and was accepted."""
    version = world.version(weights)
    local = world.image(version, wrong=wrong)
    known = world.images.pop(str(local))
    tag = f"model-{version}-{len(world.images)}"
    digest = images.push(world.repository.path, tag, known["labels"])
    reference = world.know(
        Reference(world.repository, digest), world.folder / "fetched" / version, known["labels"], wrong=wrong
    )
    write_acceptance(reference, version=version)
    return reference


def promote(world: World, image: Reference) -> None:
    verbs.promote(world.loaded, str(image), say=said.append)


def all_are(world: World, images: ImageRegistry, image: Reference, version: str) -> bool:
    """Whether alias, container, state and tag are this image's, and nothing is under way."""
    found = world.alias(), world.containers(), world.state().current, images.digest(world.repository.path, "production")
    return (
        (found[0], found[1], found[3]) == (version, {PRODUCTION: str(image)}, image.digest)
        and found[2] is not None
        and found[2].image == str(image)
        and not (world.folder / "production" / "promotion.json").exists()
    )


def test_promoted_again_superseded_and_rolled_back(pushed: World, images: ImageRegistry):
    world = pushed
    first = release(world, images, b"one")
    promote(world, first)
    assert all_are(world, images, first, "1")
    second = release(world, images, b"two")
    world.champion()
    promote(world, second)
    promote(world, second)
    assert all_are(world, images, second, "2")
    verbs.rollback(world.loaded, reason="it hums", say=said.append)
    assert all_are(world, images, first, "1")
    with pytest.raises(InputError, match="nothing to go back to"):
        verbs.rollback(world.loaded, reason="", say=said.append)
    third = release(world, images, b"three")
    write_acceptance(second, version="2")
    promote(world, second)  # a second try of what was taken back
    write_acceptance(third, version="3")
    with pytest.raises(SupersededError, match=r"version 3 of .* was compared with candidate"):
        promote(world, third)
    assert all_are(world, images, second, "2")


def test_what_fails_in_production_takes_container_alias_and_tag_back(pushed: World, images: ImageRegistry):
    world = pushed
    first = release(world, images, b"one", wrong="in place")
    with pytest.raises(DeploymentError, match="version 1 stays champion in the registry, as there was none before"):
        promote(world, first)
    assert (world.containers(), images.digest(world.repository.path, "production")) == ({}, None)
    world.mend(first)
    promote(world, first)
    assert all_are(world, images, first, "1")
    second = release(world, images, b"two", wrong="in place")
    done = wattline("ci", "promote", str(second))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert f"version 1 ({first.short}) is back and answers rightly; version 1 is champion" in done.stderr
    assert all_are(world, images, first, "1")
    log = wattline("audit", "show").stdout.splitlines()
    assert "rollback" in log[-1]
    assert "its deployment failed" in log[-1]
    world.mend(second)
    promote(world, second)
    assert all_are(world, images, second, "2")


def test_killed_anywhere_it_is_undone_or_goes_on(pushed: World, images: ImageRegistry, monkeypatch: pytest.MonkeyPatch):
    world = pushed
    first = release(world, images, b"one")
    promote(world, first)
    second = release(world, images, b"two")
    world.kill_at(f"after run {PRODUCTION}")
    assert wattline("ci", "promote", str(second)).returncode == -9
    assert world.alias() == "2"
    verbs.recover(world.loaded, say=said.append)
    assert all_are(world, images, first, "1")
    with monkeypatch.context() as patch:
        patch.setattr("wattline.deployment.promoting._tag", interrupted)
        for verb in (lambda: promote(world, second), lambda: verbs.recover(world.loaded, say=said.append)):
            with pytest.raises(KeyboardInterrupt):
                verb()
    assert images.digest(world.repository.path, "production") == first.digest
    verbs.recover(world.loaded, say=said.append)
    assert all_are(world, images, second, "2")


def test_a_rollback_is_one_step_however_often_it_is_cut_off_and_asked_for(
    pushed: World, images: ImageRegistry, monkeypatch: pytest.MonkeyPatch
):
    world, made = pushed, []
    for weights in (b"one", b"two", b"three"):
        made.append(release(world, images, weights))
        promote(world, made[-1])
    with monkeypatch.context() as patch:
        patch.setattr("wattline.deployment.promoting._tag", interrupted)
        with pytest.raises(KeyboardInterrupt):
            verbs.rollback(world.loaded, reason="it hums", say=said.append)
    verbs.rollback(world.loaded, reason="it hums", say=said.append)
    assert all_are(world, images, made[1], "2")
    really = promotion.rollback

    def alias_does_not_follow(*arguments: Any, **options: Any) -> None:
        really(*arguments, **options)
        raise WattlineError("the tracking server is down")

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "rollback", alias_does_not_follow)
        with pytest.raises(WattlineError, match="is down"):
            verbs.rollback(world.loaded, reason="it hums", say=said.append)
    verbs.recover(world.loaded, say=said.append)
    assert all_are(world, images, made[0], "1")


def test_what_cannot_be_gone_back_to_changes_nothing_and_blocks_nothing(pushed: World, images: ImageRegistry):
    world = pushed
    first = release(world, images, b"one")
    promote(world, first)
    second = release(world, images, b"two")
    promote(world, second)
    world.images[str(first)]["wrong"] = "everywhere"
    world.mend(second)
    with pytest.raises(DeploymentError, match=r"version 2 .* is back and answers rightly; version 2 is champion"):
        verbs.rollback(world.loaded, reason="it hums", say=said.append)
    assert all_are(world, images, second, "2")


def test_killed_and_then_broken_what_ran_before_answers_again(pushed: World, images: ImageRegistry):
    world = pushed
    first = release(world, images, b"one")
    promote(world, first)
    second = release(world, images, b"two")
    world.kill_at(f"after rm {PRODUCTION}")
    assert wattline("ci", "promote", str(second)).returncode == -9
    assert world.containers() == {}
    world.images[str(second)]["wrong"] = "everywhere"
    world.mend(first)
    with pytest.raises(DeploymentError, match=r"version 1 .* is back and answers rightly; version 1 is champion"):
        promote(world, second)
    assert all_are(world, images, first, "1")


def interrupted(*_: object) -> None:
    """Stand in for a step at which somebody presses Ctrl-C."""
    raise KeyboardInterrupt


def test_no_evidence_no_promotion(pushed: World, images: ImageRegistry):
    world = pushed
    image = release(world, images, b"one")
    for changes, reason in (
        ({"absent": True}, "is not promoted without evidence: reports/ci/acceptance.json is missing"),
        ({"image": str(image).replace(image.digest, "sha256:" + "0" * 64)}, "acceptance.json is about"),
        ({"failed": "latency"}, r"was not accepted in staging .latency FAIL"),
        ({"refused": "energy"}, r"was not accepted in staging .energy REFUSE"),
        ({"without": "energy"}, "verdicts are missing"),
    ):
        write_acceptance(image, version="1", **changes)
        with pytest.raises(RejectedError, match=reason):
            promote(world, image)
    for changes, reason in (
        ({"load": {"p99_ms": 2e6}}, "latency FAIL"),
        ({"energy_per_1000": None}, "energy REFUSE"),
    ):
        write_acceptance(image, version="1")
        found = json.loads(REPORT.read_text())
        for name, value in changes.items():
            found[name] = found[name] | value if isinstance(value, dict) else value
        REPORT.write_text(json.dumps(found))
        with pytest.raises(RejectedError, match=reason):
            promote(world, image)  # whatever its verdicts say
    assert (world.alias(), world.containers()) == (None, {})
    labels = world.images[str(image)]["labels"]
    for changed, reason in (
        ({"io.wattline.model.version": "2"}, "has no version '2'"),
        ({"io.wattline.model.digest": "0" * 64}, "version 1 of .* is another one"),
        ({"io.wattline.model.name": "other"}, "holds a model of other"),
        ({"org.opencontainers.image.revision": "c" * 40 + "-dirty"}, "was built of changed sources"),
    ):
        digest = images.push(world.repository.path, "other", labels | changed)
        other = Reference(world.repository, digest)
        write_acceptance(other, version="1")
        with pytest.raises((InputError, RejectedError), match=reason):
            promote(world, other)
    assert (world.alias(), world.containers()) == (None, {})
