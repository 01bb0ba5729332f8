"""What holds for all tests, and what several folders need of the machine."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from debian import Tools, install
from hypothesis import settings

pytest_plugins = ("backends.fixtures",)

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell has what it starts in the background ignore Ctrl-C, and that is inherited: programs that tests interrupt would
# go on for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cache() -> Path:
    """A folder outside of the checkout that later runs find again: base image, wheels, unpacked tools."""
    folder = Path(tempfile.gettempdir()) / f"wattline-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid(), f"{folder} is somebody else's; remove it"
    return folder


@pytest.fixture(scope="session")
def tools(cache: Path) -> Tools:
    """Programs of Prometheus. Without root or apt the tests are skipped, except in CI."""
    tools = Tools(cache / "tools" / "usr" / "bin")
    if not all(tools.has(name) for name in ("prometheus", "promtool", "amtool", "prometheus-node-exporter")):
        install(cache, "monitoring")
    return tools
