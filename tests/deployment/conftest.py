"""A project, a host without containers, and a real registry of images."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_registry import USER, WATCHWORD, ImageRegistry, image_registry

from tests.deployment.world import World
from tests.registry.conftest import empty_store, project
from wattline.settings import settings

__all__ = ["empty_store", "project"]


@pytest.fixture
def world(project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The project of the registry's tests as one that deploys."""
    found = World(tmp_path_factory.mktemp("host"), project)
    monkeypatch.setenv("WATTLINE_API_KEY", found.build())
    monkeypatch.setenv("PATH", f"{found.folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("STUB", str(found.stub))
    for name in ("WATTLINE_REGISTRY_USER", "WATTLINE_REGISTRY_PASSWORD", "WATTLINE_IMAGE_REPOSITORY", "CI_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield found
    found.end()


@pytest.fixture(scope="session")
def images(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    """A registry that wants a password."""
    with image_registry(cache, tmp_path_factory.mktemp("registry") / "images") as found:
        yield found


@pytest.fixture
def pushed(world: World, images: ImageRegistry, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same world, whose images are in that registry."""
    world.repository = type(world.repository)(
        images.host, "wattline/" + world.folder.name.lower().replace("_", "-").strip("-")
    )
    monkeypatch.setenv("WATTLINE_IMAGE_REPOSITORY", str(world.repository))
    monkeypatch.setenv("WATTLINE_REGISTRY_USER", USER)
    monkeypatch.setenv("WATTLINE_REGISTRY_PASSWORD", WATCHWORD)
    settings.cache_clear()
    return world
