"""Sites to prove things about: one that nobody changes, and one of each test's own."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof.site import Lived, Site, build
from tests.registry.conftest import VARIABLES, empty_store
from wattline.settings import settings
from wattline.signing import model_keys

__all__ = ["empty_store"]

ALL = (
    *VARIABLES,
    "CI_API_V4_URL",
    "CI_PROJECT_ID",
    "CI_SERVER_TLS_CA_FILE",
    "WATTLINE_GITLAB_TOKEN",
    "WATTLINE_MODEL_SIGNING_KEY",
)


@pytest.fixture(scope="session", autouse=True)
def migrated(empty_store: Path) -> Iterator[None]:
    """MLflow reads all of its migrations whenever it opens a store; those here are copies of one that it migrated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlflow.store.db.utils._verify_schema", lambda engine: None)
        yield


@contextlib.contextmanager
def nobody_at(temporary: Path) -> Iterator[pytest.MonkeyPatch]:
    """No settings of the person who runs the tests, and nothing left behind of what vanishes."""
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in ALL:
            patch.delenv(name, raising=False)
        patch.setattr(tempfile, "tempdir", str(temporary))
        settings.cache_clear()
        yield patch
    settings.cache_clear()
    assert not list(temporary.glob("wattline-*"))


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path) -> Iterator[None]:
    with nobody_at(tmp_path / "temporary"):
        yield


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Sites to be copied."""
    folder = tmp_path_factory.mktemp("templates")
    with nobody_at(folder / "temporary"):
        build(folder / "here", empty_store)
        build(folder / "elsewhere", empty_store, seed=1, site="site B", theirs=0)
        build(folder / "third", empty_store, seed=2, site="site C", theirs=1)
    return folder


@pytest.fixture
def site(tmp_path: Path, templates: Path) -> Site:
    """A project whose candidate is not registered yet."""
    return Site(shutil.copytree(templates / "here", tmp_path / "here"))


@pytest.fixture
def elsewhere(tmp_path: Path, templates: Path) -> Site:
    """Another site, with another key and store, which lets archives of `site` in."""
    return Site(shutil.copytree(templates / "elsewhere", tmp_path / "elsewhere"))


@pytest.fixture
def third(tmp_path: Path, templates: Path) -> Site:
    """One more, which lets archives of `elsewhere` in."""
    return Site(shutil.copytree(templates / "third", tmp_path / "third"))


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Lived:
    folder = tmp_path_factory.mktemp("lived")
    with nobody_at(folder / "temporary"):
        site = build(folder / "project", empty_store)
        with site.here():
            model_keys.new(Path(".wattline/keys"))
        site.knobs(registry={"approvals": 1, "overridable": ["energy"]})
        first = site.train(b"first", failed=["energy"])
        site.register(overrides={"energy": "the meter was broken"})
        site.approve(reason="looks good")
        site.promote()
        second = site.train(b"second", champion=site.champion())
        site.register()
        site.approve()
        site.promote()
        site.rollback(reason="too many alarms")
        site.register(b"third", champion=site.champion())
        prediction = site.answer(first, "1", feedback="the fan was broken")
    return Lived(site, first, second, prediction)
