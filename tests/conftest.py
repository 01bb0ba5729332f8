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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failed-to", metavar="FILE", type=Path, help="add the tests that fail to FILE, one a line")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.failed_to is not None:
        config.pluginmanager.register(Failed(config.option.failed_to))


class Failed:
    """Writes down which tests failed, for tests/run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            with self._path.open("a") as stream:
                print(report.nodeid, file=stream)


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
