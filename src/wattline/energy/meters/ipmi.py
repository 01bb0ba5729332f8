"""IPMI: power of the node as its board management controller reads it, over the local interface."""

import os
import re
import shutil
from pathlib import Path

from wattline.energy.meters.meter import MeterError
from wattline.energy.meters.polled import Polled
from wattline.energy.meters.programs import run

DEVICES = (Path("/dev/ipmi0"), Path("/dev/ipmi/0"), Path("/dev/ipmidev/0"))
# The local interface: no address, no user and no password, which other users could read from the list of processes.
IPMITOOL = ("ipmitool", "-I", "open", "dcmi", "power", "reading")
FREEIPMI = ("ipmi-dcmi", "--get-system-power-statistics")
TIMEOUT_SECONDS = 10.0
INTERVAL_SECONDS = 1.0
# DCMI 1.5 does not say how often a controller renews its reading, and the "sampling period" that it reports is that of
# minimum, maximum and mean. Controllers commonly renew it every second; more slowly is not seen from here.
REFRESH_SECONDS = 1.0

_READING = re.compile(
    r"^[ \t]*(?:Instantaneous power reading|Current Power)[ \t]*:[ \t]*(\S+)[ \t]+watts\s*$", re.I | re.M
)
_STATE = re.compile(r"^[ \t]*(?:Power reading state is|Power Measurement)[ \t]*:[ \t]*(\S.*?)\s*$", re.I | re.M)
_PERIOD = re.compile(
    r"(?<!during )(?:Sampling period|Statistics reporting time period)[ \t]*:[ \t]*(.+?)\s*$", re.I | re.M
)


def ipmi(*, interval_seconds: float = INTERVAL_SECONDS) -> Polled:
    """A meter of this node's power. Raises MeterError saying what is missing: program, driver, permission or sensor."""
    command = _command()
    text = _ask(command)
    watts(text)
    period = _PERIOD.search(text)
    return Polled(
        lambda: watts(_ask(command)),
        name="ipmi",
        sensor=f"ipmi:dcmi ({command[0]})",
        boundary="this node at the input of its power supplies: every process on it, fans and idle power included",
        interval_seconds=interval_seconds,
        resolution_watts=1.0,  # DCMI reports whole watts
        refresh_seconds=REFRESH_SECONDS,
        parameters={
            "refresh": f"{REFRESH_SECONDS:g} s, assumed",
            "statistics period of the controller": period[1] if period else "not reported",
        },
    )


def watts(text: str) -> float:
    """The power in an answer of ipmitool or ipmi-dcmi [W]. Raises MeterError for one that is not a valid reading."""
    state = _STATE.search(text)
    if state is None:
        raise MeterError(f"the controller's answer does not say whether power is measured: {_start(text)}")
    if state[1].lower().rstrip(".") not in ("activated", "active"):
        raise MeterError(
            f"the controller's power measurement is {state[1]!r}; activate it in the controller's settings"
        )
    readings = _READING.findall(text)
    if len(readings) != 1 or not readings[0].isdecimal():
        raise MeterError(f"the controller's answer holds no reading of power: {_start(text)}")
    if int(readings[0]) == 0:
        raise MeterError(
            "the controller reads 0 W of a node that runs; its power supplies have no sensor, or it is off"
        )
    return float(readings[0])


def _command() -> tuple[str, ...]:
    for command in (IPMITOOL, FREEIPMI):
        if shutil.which(command[0]):
            return command
    raise MeterError("neither ipmitool nor ipmi-dcmi is installed; install the package ipmitool or freeipmi")


def _ask(command: tuple[str, ...]) -> str:
    try:
        return run(command, timeout_seconds=TIMEOUT_SECONDS)
    except MeterError as error:
        raise MeterError(f"{error}; {_remedy()}") from None


def _remedy() -> str:
    """What would help, from what is known here: ipmitool says the same of an absent device and of a forbidden one."""
    device = next((device for device in DEVICES if device.exists()), None)
    if device is None:
        return (
            f"there is no {DEVICES[0]}: `modprobe ipmi_devintf ipmi_si` loads its drivers; a virtual machine has none"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be opened: let an administrator add a udev rule that gives your group access"
    return "check whether the controller supports DCMI (`ipmitool dcmi discover`)"


def _start(text: str) -> str:
    return repr(" ".join(text.split())[:120])
