"""On a real GPU: its counter counts what a load draws, its power integrates to the same, and work is waited for.

Needs PyTorch with CUDA and nothing of the other tests:
`PYTHONPATH=src python -m pytest -c /dev/null --noconftest tests/energy/meters/test_gpu.py`
"""

import os
import statistics
import time
from types import SimpleNamespace

import pytest

from wattline.energy.meters import MeterError
from wattline.energy.meters.nvml import Nvml
from wattline.energy.meters.self_test import self_test

pytestmark = pytest.mark.gpu

AGREEMENT = 0.10
"""Of the counter and of integrated power over 10 s of a steady load: 5 % of the sensor, 5 % of its averaging."""


@pytest.fixture(scope="module")
def gpu():
    """A meter of each kind, and a way to queue work on the first GPU."""
    devices, order = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER")
    try:
        counter = Nvml(devices=devices, order=order)
        integral = Nvml(devices=devices, order=order, integrate=True)
    except MeterError as error:
        pytest.skip(f"needs an NVIDIA GPU: {error}")
    torch = pytest.importorskip("torch", reason="needs PyTorch with CUDA")
    if not torch.cuda.is_available():
        pytest.skip("needs PyTorch with CUDA: torch.cuda.is_available() is False")
    factor = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def queue(products):
        """Return at once; 1.1e12 operations each."""
        for _ in range(products):
            factor @ factor

    def work(seconds):
        """Keep it busy; return when the work is done."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            queue(20)
            torch.cuda.synchronize()

    work(2.0)
    return SimpleNamespace(counter=counter, integral=integral, queue=queue, work=work, torch=torch)


def reading(meter, activity):
    meter.start()
    activity()
    return meter.stop()


def watts(energy):
    return energy.joules / energy.seconds


def test_the_counter_moves_under_load(gpu):
    loaded = watts(reading(gpu.counter, lambda: gpu.work(3.0)))
    time.sleep(2.0)
    idle = watts(reading(gpu.counter, lambda: time.sleep(3.0)))
    assert 1.5 * idle < loaded


def test_integrated_power_agrees_with_the_counter(gpu):
    gpu.integral.start()
    counted = reading(gpu.counter, lambda: gpu.work(10.0))
    integrated = gpu.integral.stop()
    assert watts(integrated) == pytest.approx(watts(counted), rel=AGREEMENT)
    low, high = (joules / integrated.seconds for joules in integrated.interval)
    assert low <= watts(counted) <= high


def test_work_that_was_only_queued_is_waited_for_and_counted(gpu):
    begin = time.monotonic()
    gpu.queue(500)
    gpu.torch.cuda.synchronize()
    needed = time.monotonic() - begin
    time.sleep(1.0)
    energy = reading(gpu.counter, lambda: gpu.queue(500))
    assert energy.seconds > 0.8 * needed


def test_work_that_was_queued_before_is_not_counted(gpu):
    gpu.queue(500)
    energy = reading(gpu.counter, lambda: time.sleep(0.1))
    assert energy.seconds < 0.5


def test_the_refresh_is_that_of_a_counter(gpu):
    assert 0.001 < gpu.counter.refresh_seconds < 0.3


def test_the_same_load_reads_the_same(gpu):
    drawn = [watts(reading(gpu.counter, lambda: gpu.work(3.0))) for _ in range(4)]
    assert statistics.stdev(drawn) / statistics.mean(drawn) < 0.1


def test_the_meter_passes_its_self_test(gpu):
    tested = self_test(gpu.counter)
    assert tested.passed, tested
