"""What tests of meters share: a clock that they set, GPUs for machines without, and parameters."""

from types import SimpleNamespace

import pytest

from energy.fake_nvml import gpus, nvml_library  # noqa: F401
from wattline.energy.meters import counter, estimate, power, rapl
from wattline.params import EnergyParams


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: its last element is what meters see."""
    instants = [0.0]
    for module in (counter, estimate, power, rapl):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: instants[-1]))
    return instants


@pytest.fixture
def params():
    return EnergyParams(watts_per_core=12.5, watts_source="data sheet", idle_share=0.0, idle_source="none")
