"""IPMI: a reading is taken for what it is, and whatever else the programs say is an error with a remedy."""

import time
from pathlib import Path

import pytest

from wattline.energy.meters import MeterError, ipmi
from wattline.energy.meters.ipmi import watts

IPMITOOL = """
    Instantaneous power reading:              {watts:>8} Watts
    Minimum during sampling period:                 68 Watts
    Maximum during sampling period:                504 Watts
    Average power reading over sample period:      348 Watts
    IPMI timestamp:                           11/26/26 08:36:01 UTC    Sampling period: 00000001 Seconds.
    Power reading state is:                   {state}

"""
FREEIPMI = """Current Power                        : {watts} Watts
Minimum Power over sampling duration : 68 watts
Maximum Power over sampling duration : 504 watts
Average Power over sampling duration : 348 watts
Time Stamp                           : 11/26/2026 - 08:36:29
Statistics reporting time period     : 2685198000 milliseconds
Power Measurement                    : {state}
"""
# Power alternates between 200 and 201 W from call to call.
BEHAVES = """echo "$0 $*" >> "{folder}/calls"
count=$(wc -l < "{folder}/calls")
sed "s/WATTS/$((200 + count % 2))/" << 'END'
{text}
END
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program of this name and behaviour where it is found, and nothing else of the kind."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    # Not those that this machine may have.
    monkeypatch.setattr(
        ipmi.shutil, "which", lambda name: str(path) if (path := tmp_path / "bin" / name).exists() else None
    )

    def put(name, body):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\n{body}")
        path.chmod(0o755)

    return put


@pytest.fixture
def device(tmp_path, monkeypatch):
    """The character device of the controller, or rather a file in its place."""
    path = tmp_path / "ipmi0"
    path.touch()
    monkeypatch.setattr(ipmi, "DEVICES", (path,))
    return path


@pytest.mark.parametrize(
    ("name", "text", "state", "arguments"),
    [
        ("ipmitool", IPMITOOL, "activated", "-I open dcmi power reading"),
        ("ipmi-dcmi", FREEIPMI, "Active", "--get-system-power-statistics"),
    ],
)
def test_power_of_the_node_is_integrated(tmp_path, program, name, text, state, arguments):
    program(name, BEHAVES.format(folder=tmp_path, text=text.format(watts="WATTS", state=state)))
    meter = ipmi.ipmi(interval_seconds=0.05)
    meter.start()
    time.sleep(0.5)
    energy = meter.stop()
    assert 200 * energy.seconds <= energy.joules <= 201 * energy.seconds
    assert energy.interval[0] < energy.joules < energy.interval[1]
    assert energy.provenance == "measured"
    assert energy.scope == "machine"
    assert energy.sensor == f"ipmi:dcmi ({name})"
    assert "power supplies" in energy.boundary
    assert energy.resolution_joules == pytest.approx(0.05)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) >= 5
    assert energy.parameters["statistics period of the controller"] in ("00000001 Seconds.", "2685198000 milliseconds")
    assert {call.split(" ", 1)[1] for call in calls} == {arguments}


def test_the_shortest_window_is_a_hundred_intervals(tmp_path, program):
    program("ipmitool", BEHAVES.format(folder=tmp_path, text=IPMITOOL.format(watts="WATTS", state="activated")))
    assert ipmi.ipmi(interval_seconds=2.0).minimum_seconds == 200
    assert ipmi.ipmi(interval_seconds=0.1).minimum_seconds == 100, "the controller does not renew it as often"


def test_without_a_program_the_package_is_named(program):
    with pytest.raises(MeterError, match="neither ipmitool nor ipmi-dcmi is installed; install the package"):
        ipmi.ipmi()


NO_DEVICE = """
echo 'Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: No such file or directory' >&2
exit 1
"""


def test_without_a_device_the_drivers_are_named(tmp_path, program, monkeypatch):
    monkeypatch.setattr(ipmi, "DEVICES", (tmp_path / "absent",))
    program("ipmitool", NO_DEVICE)
    with pytest.raises(MeterError, match=r"Could not open device.*there is no .*absent.*modprobe ipmi_devintf"):
        ipmi.ipmi()


def test_a_device_that_may_not_be_opened_is_told_from_an_absent_one(program, device, monkeypatch):
    # Tests may run as root, whom no permission stops; ipmitool says the same in both cases.
    monkeypatch.setattr(ipmi.os, "access", lambda path, mode: path != device)
    program("ipmitool", NO_DEVICE)
    with pytest.raises(MeterError, match=r"ipmi0 may not be opened: let an administrator add a udev rule"):
        ipmi.ipmi()


def test_a_controller_without_dcmi_is_named(program, device):
    program("ipmitool", "echo 'DCMI request failed because: Invalid command (c1)' >&2; exit 1")
    with pytest.raises(MeterError, match=r"Invalid command \(c1\).*supports DCMI"):
        ipmi.ipmi()


def test_a_program_that_hangs_is_ended(program, device, monkeypatch, tmp_path):
    monkeypatch.setattr(ipmi, "TIMEOUT_SECONDS", 0.3)
    program("ipmitool", f"echo $$ > {tmp_path}/pid; exec sleep 600")
    with pytest.raises(MeterError, match=r"did not end within 0.3 s"):
        ipmi.ipmi()
    process = Path("/proc") / (tmp_path / "pid").read_text().strip()
    assert not process.exists()


def test_a_sensor_that_goes_on_the_way_is_an_error_at_the_end(tmp_path, program, device):
    good = BEHAVES.format(folder=tmp_path, text=IPMITOOL.format(watts="WATTS", state="activated"))
    program("ipmitool", good)
    meter = ipmi.ipmi(interval_seconds=0.05)
    meter.start()
    program("ipmitool", NO_DEVICE)
    time.sleep(0.3)
    program("ipmitool", good)
    with pytest.raises(MeterError, match="Could not open device"):
        meter.stop()


def test_a_meter_that_was_not_started_cannot_be_stopped(tmp_path, program):
    program("ipmitool", BEHAVES.format(folder=tmp_path, text=IPMITOOL.format(watts="WATTS", state="activated")))
    meter = ipmi.ipmi(interval_seconds=0.05)
    with pytest.raises(MeterError, match=r"call start\(\) first"):
        meter.stop()


@pytest.mark.parametrize(("text", "state"), [(IPMITOOL, "activated"), (FREEIPMI, "Active")])
def test_the_reading_is_the_present_one_and_no_mean(text, state):
    assert watts(text.format(watts="332", state=state)) == 332.0


@pytest.mark.parametrize(("text", "state"), [(IPMITOOL, "deactivated"), (FREEIPMI, "Not Available")])
def test_a_controller_that_does_not_measure_is_refused(text, state):
    with pytest.raises(MeterError, match=f"power measurement is '{state}'"):
        watts(text.format(watts="235", state=state))


@pytest.mark.parametrize("value", ["0", "00"])
def test_a_node_that_draws_nothing_is_refused(value):
    with pytest.raises(MeterError, match="reads 0 W of a node that runs"):
        watts(IPMITOOL.format(watts=value, state="activated"))


@pytest.mark.parametrize("value", ["", "-5", "1e3", "12.5", "nan", "many"])
def test_a_value_that_is_no_count_of_watts_is_refused(value):
    with pytest.raises(MeterError, match="no reading of power"):
        watts(IPMITOOL.format(watts=value, state="activated"))


def test_an_empty_state_does_not_borrow_the_next_line():
    with pytest.raises(MeterError, match="does not say whether power is measured"):
        watts(IPMITOOL.format(watts="300", state="") + "activated\n")


@pytest.mark.parametrize("text", ["", "garbage", "Instantaneous power reading: 5 Watts", "\0\xff" * 200])
def test_an_answer_without_a_state_is_refused(text):
    with pytest.raises(MeterError, match="does not say whether power is measured") as caught:
        watts(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_answer_with_two_readings_is_refused():
    text = IPMITOOL.format(watts="300", state="activated")
    with pytest.raises(MeterError, match="no reading of power"):
        watts(text + text)
