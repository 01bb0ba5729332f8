"""What params name is taken, or nothing; `auto` leaves out no device that is used; sums count nothing twice."""

import pytest

from energy.powercap import lay_out, ticking
from wattline.energy import meters
from wattline.energy.meters import Combined, Estimate, MeterError, Rapl, choose, rapl
from wattline.energy.meters.combined import added
from wattline.records import Energy


@pytest.fixture(autouse=True)
def powercap(tmp_path, monkeypatch):
    """A machine without counters, until a test lays some out."""
    root = tmp_path / "powercap"
    monkeypatch.setattr(rapl, "POWERCAP", root)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return root


def wanted(params, meter):
    return params.model_copy(update={"meter": meter})


def test_a_counter_is_preferred_to_an_estimate(powercap, params, caplog):
    lay_out(powercap)
    assert isinstance(choose(params), Rapl)
    assert not caplog.text


def test_without_a_counter_auto_estimates_and_says_what_is_missing(params, caplog):
    assert isinstance(choose(params), Estimate)
    assert "holds no intel-rapl package" in caplog.text
    assert "energy of the CPU is estimated from CPU time" in caplog.text


@pytest.mark.parametrize("name", ["rapl", "rapl+nvml"])
def test_a_meter_that_is_named_and_absent_is_an_error_and_no_estimate(params, name, gpus):
    with pytest.raises(
        MeterError, match=rf"energy.meter: {name.replace('+', '.')} does not work here: .* no intel-rapl"
    ):
        choose(wanted(params, name))


def test_gpus_that_are_named_and_absent_are_an_error_and_no_estimate(params, gpus):
    gpus.set(devices=0)
    with pytest.raises(MeterError, match=r"energy.meter: nvml does not work here: NVML lists no GPU"):
        choose(wanted(params, "nvml"))


def test_an_estimate_is_taken_where_it_is_asked_for(powercap, params, caplog):
    lay_out(powercap)
    assert isinstance(choose(wanted(params, "estimate")), Estimate)
    assert not caplog.text


def test_auto_adds_the_gpus_where_they_do_the_work(powercap, params, gpus):
    with ticking(powercap):
        meter = choose(params, device="cuda")
        assert meter.name == "rapl+nvml"
        meter.start()
        energy = meter.stop()
    assert energy.provenance == "measured"
    assert energy.scope == "machine"
    assert energy.sensor.startswith("nvml:")
    assert " + rapl:package-0" in energy.sensor


def test_a_sum_with_an_estimate_is_estimated_and_says_which_part(params, gpus):
    meter = choose(params, device="cuda")
    meter.start()
    energy = meter.stop()
    assert energy.provenance == "estimated"
    assert energy.sensor == "nvml:energy counter of 1 GPU [measured] + CPU time x 12.5 W/core (data sheet) [estimated]"
    assert energy.scope == "devices"
    assert energy.parameters["watts_per_core"] == "12.5 W"
    assert energy.parameters["gpus"].startswith("GPU-")
    assert "no accelerator" in energy.boundary
    assert "whole boards" in energy.boundary


def test_auto_never_leaves_out_a_gpu_that_does_the_work(powercap, params, gpus):
    lay_out(powercap)
    gpus.set(init=9.0)
    with pytest.raises(MeterError, match=r"a GPU that cannot be metered: .* driver is not loaded"):
        choose(params, device="cuda")


def test_cuda_s_list_of_devices_is_read(params, gpus, monkeypatch):
    gpus.set(devices=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    meter = choose(wanted(params, "nvml"))
    meter.start()
    assert meter.stop().parameters["gpus"] == "GPU-10000000-fake"


def test_an_empty_list_of_devices_is_no_device(params, gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(MeterError, match="CUDA_VISIBLE_DEVICES='' shows no GPU"):
        choose(wanted(params, "nvml"))


def test_every_factory_is_a_name_that_params_allow(params):
    for name in meters.FACTORIES:
        assert type(params).model_validate(params.model_dump() | {"meter": name}).meter == name


class Part:
    """A meter that does as it is told, and says when."""

    minimum_seconds = 1.0

    def __init__(self, name, energy=None, error=None, journal=None):
        self.name, self.energy, self.error = name, energy, error
        self.journal = journal if journal is not None else []

    def start(self):
        self.journal.append(f"start {self.name}")

    def stop(self):
        self.journal.append(f"stop {self.name}")
        if self.error:
            raise MeterError(self.error)
        return self.energy


def energy(joules, **changes):
    return Energy(
        **{
            "joules": joules,
            "interval": (joules * 0.9, joules * 1.1),
            "provenance": "measured",
            "sensor": "s",
            "boundary": "b",
            "seconds": 2.0,
            "resolution_joules": 0.5,
            "scope": "machine",
        }
        | changes
    )


@pytest.mark.parametrize(
    ("first", "second"), [("rapl", "estimate"), ("rapl", "rapl"), ("nvml", "ipmi"), ("slurm", "rapl"), ("new", "nvml")]
)
def test_meters_that_overlap_are_not_added(first, second):
    with pytest.raises(MeterError, match=f"{first} and {second} both read the"):
        Combined([Part(first), Part(second)])


def test_one_meter_is_no_sum():
    with pytest.raises(MeterError, match="at least two"):
        Combined([Part("rapl")])


def test_a_sum_adds_joules_and_intervals_and_keeps_the_widest_of_the_rest():
    total = added([energy(10.0, scope="devices", seconds=3.0), energy(5.0)])
    assert total.joules == 15.0
    assert total.interval == pytest.approx((13.5, 16.5))
    assert total.seconds == 3.0
    assert total.scope == "machine"
    assert total.resolution_joules == 1.0
    assert total.provenance == "measured"


def test_what_one_part_does_not_know_the_sum_does_not_know():
    total = added([energy(10.0, scope=None, resolution_joules=None), energy(5.0)])
    assert total.scope is None
    assert total.resolution_joules is None


def test_accelerators_wait_for_their_work_first_at_both_ends():
    journal = []
    meter = Combined([Part("rapl", energy(1.0), journal=journal), Part("nvml", energy(1.0), journal=journal)])
    meter.start()
    meter.stop()
    assert journal == ["start nvml", "start rapl", "stop nvml", "stop rapl"]


def test_a_part_that_fails_fails_the_sum_and_no_part_keeps_running():
    journal = []
    meter = Combined([Part("rapl", energy(1.0), journal=journal), Part("nvml", error="lost", journal=journal)])
    meter.start()
    with pytest.raises(MeterError, match="lost"):
        meter.stop()
    assert "stop rapl" in journal
    with pytest.raises(MeterError, match="call start"):
        meter.stop()
