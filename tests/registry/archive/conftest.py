"""One good archive for all tests, and a place where what unpacking leaves behind is seen."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.archive.site import TRUSTED, Version, version
from wattline.errors import WattlineError
from wattline.registry.archive import unpacked

Refused = Callable[[bytes, str], None]


@pytest.fixture(scope="session")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version at the site that exports it; nobody writes to it."""
    return version(tmp_path_factory.mktemp("exporter"))


@pytest.fixture(scope="session")
def good(exporter: Version, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The archive of it."""
    return exporter.exported(tmp_path_factory.mktemp("archives")).read_bytes()


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where folders that vanish are made; in the end there must be none."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


@pytest.fixture
def refused(tmp_path: Path, private: Path) -> Refused:
    """Asks for a refusal of an archive with a reason, and that nothing was written anywhere."""

    def ask(archive: bytes, reason: str) -> None:
        path = tmp_path / "anomaly-7.wattline.tar"
        path.write_bytes(archive)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(WattlineError, match=reason) as caught, unpacked(path, TRUSTED):
            pytest.fail("it was let in")
        message = str(caught.value)
        assert message.startswith(f"{path} cannot be imported: ")
        assert message.isprintable()
        assert caught.value.exit_code == 2
        assert sorted(tmp_path.rglob("*")) == before

    return ask
