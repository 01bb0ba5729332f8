"""What every test of real contenders must leave behind: nothing."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from measuring.contenders import children


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, no temporary file."""
    scratch, before = tmp_path / "scratch", children()
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield
    assert children() == before
    assert list(scratch.iterdir()) == []
