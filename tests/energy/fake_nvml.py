"""GPUs for machines without: a small library in place of the driver's, so that NVIDIA's own binding really runs."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")


class FakeNvml:
    """What the test turns: see `fake_set` in the library's source for the names."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.fake_set.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_double]
        library.fake_reset()

    def set(self, *, gpu: int = 0, **values: float) -> None:
        for name, value in values.items():
            assert self._library.fake_set(gpu, name.encode(), value) == 0, f"the fake has no {name}"

    @contextmanager
    def load(self, watts: float = 500.0, *, gpu: int = 0, idle: float = 70.0) -> Iterator[None]:
        """A load on one GPU while the block runs."""
        self.set(gpu=gpu, watts=watts)
        try:
            yield
        finally:
            self.set(gpu=gpu, watts=idle)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The fake, compiled. Without a C compiler the tests are skipped, except in CI."""
    from wattline.settings import settings

    compiler = shutil.which("cc")
    if compiler is None:
        assert not settings().ci, "cc is missing; apt-get install gcc libc6-dev"
        pytest.skip("needs a C compiler (cc) for the fake NVML")
    target = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-o", target, SOURCE], check=True)
    return ctypes.CDLL(str(target))


@pytest.fixture
def gpus(nvml_library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """One idle GPU of 70 W, as NVIDIA's binding sees it."""
    import pynvml

    monkeypatch.setattr(pynvml, "nvmlLib", nvml_library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return FakeNvml(nvml_library)
