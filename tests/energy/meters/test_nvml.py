"""GPUs are metered by what the driver counts, through NVIDIA's own binding; what it cannot have counted is an error."""

import threading
import time

import pytest

from wattline.energy.meters import MeterError, cuda, nvml
from wattline.energy.meters import gpus as gpu_list
from wattline.energy.meters.nvml import Nvml
from wattline.energy.meters.power import Integral


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Counters of the fake that stand still do so for good: no need to wait a second."""
    monkeypatch.setattr(nvml, "STUCK_SECONDS", 0.3)


def reading(meter, seconds=0.4):
    meter.start()
    time.sleep(seconds)
    return meter.stop()


def test_it_counts_what_the_gpu_draws(gpus):
    gpus.set(watts=300)
    energy = reading(Nvml())
    assert energy.joules == pytest.approx(300 * energy.seconds, rel=0.1)
    assert energy.interval[0] < energy.joules < energy.interval[1]
    assert energy.provenance == "measured"
    assert energy.scope == "devices"
    assert energy.sensor == "nvml:energy counter of 1 GPU"
    assert energy.boundary == ("1 x Fake H100, whole boards: every process on them, idle power included; no CPU")
    assert energy.parameters["gpus"] == "GPU-00000000-fake"


@pytest.mark.parametrize("refresh", [0.02, 0.1])
def test_how_often_a_counter_is_refreshed_is_found_out(gpus, refresh):
    gpus.set(refresh=refresh)
    meter = Nvml()
    assert meter.refresh_seconds == pytest.approx(refresh, rel=0.3)
    assert meter.minimum_seconds == pytest.approx(max(1.0, 100 * refresh), rel=0.3)
    energy = reading(meter, 0.2)
    assert energy.resolution_joules == pytest.approx(70 * refresh, rel=0.3)
    blur = (energy.interval[1] - energy.interval[0]) / 2
    assert blur == pytest.approx(energy.joules * meter.refresh_seconds / energy.seconds)


def test_the_reading_covers_the_time_it_waited_for_the_counter(gpus):
    """With a refresh of 0.1 s, a window of 0.25 s would be off by 40 % if counters were read at any moment."""
    gpus.set(refresh=0.1, watts=300)
    meter = Nvml()
    for _ in range(5):
        energy = reading(meter, 0.25)
        assert energy.joules == pytest.approx(300 * energy.seconds, rel=0.1)


def test_all_gpus_are_added(gpus):
    gpus.set(devices=3)
    gpus.set(gpu=0, watts=100)
    gpus.set(gpu=1, watts=200)
    gpus.set(gpu=2, watts=300)
    energy = reading(Nvml())
    assert energy.joules == pytest.approx(600 * energy.seconds, rel=0.15)
    assert energy.sensor == "nvml:energy counter of 3 GPU"
    assert energy.boundary.startswith("3 x Fake H100")


def test_work_is_waited_for_at_both_ends(gpus):
    """What is queued before belongs to others; what is queued before the end belongs to us, done or not."""
    meter = Nvml(synchronise=lambda: waits.pop(0)())  # noqa: PLW0108
    waits = [
        lambda: (gpus.set(watts=500), time.sleep(0.2), gpus.set(watts=70)),
        lambda: (gpus.set(watts=500), time.sleep(0.2), gpus.set(watts=70)),
    ]
    energy = reading(meter, 0.2)
    assert not waits
    # The fake goes back to 70 W between two refreshes, so that a refresh of either power is possible.
    assert energy.joules == pytest.approx(500 * 0.2 + 70 * (energy.seconds - 0.2), rel=0.15)


def test_work_that_failed_is_an_error_and_the_meter_is_stopped(gpus):
    def fail():
        raise MeterError("CUDA's cuCtxSynchronize failed with error 700")

    meter = Nvml()
    meter.start()
    meter._synchronise = fail
    with pytest.raises(MeterError, match="error 700"):
        meter.stop()
    assert "energy-meter" not in {thread.name for thread in threading.enumerate()}


def test_a_process_without_cuda_has_nothing_to_wait_for():
    cuda.synchronise()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"joules": 5.0}, r"GPU 0 \(Fake H100, GPU-00000000-fake\) went backwards from 1.* its driver was reloaded"),
        ({"joules": 2e6}, r"gained 1e\+06 J .* over 2100 W cannot be \(3 times its highest power limit\)"),
        ({"lost": 1.0}, "NVML says 'GPU is lost': the GPU fell off the bus"),
        ({"stuck": 1.0}, "GPU 0 .* stood still"),
        ({"watts": 5000.0}, "over 2100 W cannot be"),
        ({"joules": 1.8e16}, "cannot be"),
    ],
)
def test_a_counter_that_goes_wrong_on_the_way_is_an_error(gpus, fault, message):
    meter = Nvml()
    meter.start()
    time.sleep(0.05)
    gpus.set(**fault)
    time.sleep(0.4)
    with pytest.raises(MeterError, match=message):
        meter.stop()
    assert "energy-meter" not in {thread.name for thread in threading.enumerate()}


def test_a_gpu_that_was_lost_for_a_moment_is_an_error(gpus, monkeypatch):
    monkeypatch.setattr(nvml, "WATCH_SECONDS", 0.01)
    meter = Nvml()
    meter.start()
    gpus.set(lost=1.0)
    meter._watch._thread.join(timeout=60)
    gpus.set(lost=0.0)
    with pytest.raises(MeterError, match="GPU is lost"):
        meter.stop()


def test_a_counter_that_stands_still_makes_no_meter(gpus):
    gpus.set(stuck=1.0)
    with pytest.raises(MeterError, match="stood still"):
        Nvml()


def test_one_of_two_gpus_that_stands_still_is_an_error(gpus):
    gpus.set(devices=2)
    meter = Nvml()
    meter.start()
    gpus.set(gpu=1, stuck=1.0)
    with pytest.raises(MeterError, match=r"GPU 1 .* stood still"):
        meter.stop()


def test_a_gpu_whose_limit_is_not_told_may_draw_two_kilowatts(gpus):
    gpus.set(limit=0, watts=1500)
    meter = Nvml()
    assert reading(meter).joules > 0
    meter.start()
    gpus.set(watts=3000)
    time.sleep(0.3)
    with pytest.raises(MeterError, match="over 2000 W cannot be"):
        meter.stop()


def test_without_a_counter_power_is_integrated_and_the_interval_is_wider(gpus):
    counted = reading(Nvml(), 0.3)
    gpus.set(counter=0.0, watts=300)
    meter = Nvml()
    assert meter.minimum_seconds == 100.0
    energy = reading(meter)
    assert energy.joules == pytest.approx(300 * energy.seconds, rel=0.05)
    assert energy.sensor == "nvml:power of 1 GPU integrated every 20 ms"
    assert energy.provenance == "measured"
    assert energy.interval[1] / energy.joules > counted.interval[1] / counted.joules


def test_power_can_be_integrated_beside_a_counter(gpus):
    gpus.set(watts=300)
    meters = [Nvml(), Nvml(integrate=True)]
    for meter in meters:
        meter.start()
    with gpus.load(500, idle=300):
        time.sleep(0.5)
    counted, integrated = (meter.stop() for meter in meters)
    assert integrated.joules / integrated.seconds == pytest.approx(counted.joules / counted.seconds, rel=0.1)


def test_integrated_power_follows_a_load(gpus):
    gpus.set(counter=0.0)
    meter = Nvml()
    meter.start()
    with gpus.load(500):
        time.sleep(0.3)
    time.sleep(0.3)
    energy = meter.stop()
    assert energy.joules == pytest.approx(500 * 0.3 + 70 * (energy.seconds - 0.3), rel=0.25)


@pytest.mark.parametrize("watts", [0.0, 2101.0])
def test_power_that_no_gpu_draws_is_an_error(gpus, watts):
    gpus.set(counter=0.0)
    meter = Nvml()
    meter.start()
    gpus.set(watts=watts)
    time.sleep(0.1)
    with pytest.raises(MeterError, match=f"reports {watts:g} W"):
        meter.stop()


def test_power_that_was_not_read_for_long_is_no_energy(clock):
    integral = Integral("GPU 0", lambda: 100.0, maximum_watts=700.0)
    clock.append(1.0)
    assert integral.advance() == pytest.approx(100.0)
    clock.append(3.1)
    with pytest.raises(MeterError, match=r"not read for 2.1 s, so that its energy is unknown"):
        integral.advance()


def test_a_changing_power_is_less_certain_than_a_steady_one_and_a_long_window_more_than_a_short(clock):
    def blur(powers):
        readings = iter(powers)
        clock.append(0.0)
        integral = Integral("GPU 0", lambda: next(readings), maximum_watts=700.0)
        for second in range(1, len(powers)):
            clock.append(float(second))
            integral.advance()
        return integral.blur

    assert blur([100.0] * 11) == pytest.approx(0.05 + 1.0 / 10)
    assert blur([100.0, 100.0, 300.0, 300.0, 100.0, 100.0, 300.0, 300.0, 100.0, 100.0, 300.0]) > blur([100.0] * 11)
    assert blur([100.0] * 101) < blur([100.0] * 11)
    assert blur([100.0]) == 1.0


@pytest.mark.parametrize(
    ("devices", "order", "seen"),
    [
        (None, None, [0, 1, 2, 3]),
        ("0", None, [0]),
        ("3,1", None, [3, 1]),
        (" 2 , 0", None, [2, 0]),
        ("GPU-2", None, [2]),
        ("GPU-20000000-fake,0", None, [2, 0]),
        ("1,-1,2", None, [1]),  # up to the first that is none
        ("1,9,2", None, [1]),
        ("1,GPU-,2", None, [1]),  # begins four UUIDs
    ],
)
def test_the_gpus_are_those_that_cuda_shows(gpus, devices, order, seen):
    gpus.set(devices=4)
    meter = Nvml(devices=devices, order=order)
    assert [gpu.index for gpu in meter._gpus] == seen


@pytest.mark.parametrize("devices", ["", "-1", "9", "none", "GPU-9", "NoDevFiles"])
def test_no_visible_gpu_is_an_error(gpus, devices):
    with pytest.raises(MeterError, match="shows no GPU of the 1 here"):
        Nvml(devices=devices)


def test_a_gpu_that_is_named_twice_is_an_error_as_it_is_for_cuda(gpus):
    with pytest.raises(MeterError, match="names GPU 0 twice"):
        Nvml(devices="0,0")


def test_places_among_different_models_need_an_order(gpus):
    gpus.set(devices=2, differ=1.0)
    with pytest.raises(MeterError, match="set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        Nvml(devices="0")
    assert [gpu.index for gpu in Nvml(devices="1", order="PCI_BUS_ID")._gpus] == [1]
    assert [gpu.index for gpu in Nvml(devices="GPU-1")._gpus] == [1]


def test_a_share_of_a_gpu_is_refused(gpus):
    gpus.set(split=1.0)
    with pytest.raises(MeterError, match=r"is in MIG mode; .* measure on a whole GPU"):
        Nvml()
    with pytest.raises(MeterError, match="MIG-1234, a MIG instance"):
        Nvml(devices="MIG-1234")


@pytest.mark.parametrize(
    ("outcome", "remedy"),
    [(9.0, "the NVIDIA driver is not loaded"), (4.0, "ask an administrator"), (999.0, "see nvidia-smi")],
)
def test_a_driver_that_does_not_answer_is_said_to_be_missing(gpus, outcome, remedy):
    gpus.set(init=outcome)
    with pytest.raises(MeterError, match=f"no GPUs that can be metered: .*{remedy}"):
        Nvml()


def test_a_machine_without_a_driver_is_said_to_have_none(monkeypatch):
    import pynvml

    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "CDLL", absent)
    with pytest.raises(MeterError, match="there is no NVIDIA driver here"):
        Nvml()


def test_a_lost_gpu_cannot_be_listed(gpus):
    gpus.set(lost=1.0)
    with pytest.raises(MeterError, match="GPUs cannot be listed"):
        gpu_list.visible(None, None)


def test_a_meter_that_was_not_started_cannot_be_stopped(gpus):
    with pytest.raises(MeterError, match="call start"):
        Nvml().stop()


def test_a_second_start_begins_anew_and_leaves_no_thread(gpus):
    meter = Nvml()
    meter.start()
    time.sleep(0.3)
    energy = reading(meter, 0.1)
    assert energy.seconds < 0.25
    assert energy.joules == pytest.approx(70 * energy.seconds, rel=0.15)
    assert "energy-meter" not in {thread.name for thread in threading.enumerate()}
