"""Slurm's accounting: the energy of job steps that have ended, as slurmdbd keeps it (`sacct`)."""

import re
import time
from collections.abc import Mapping

from wattline.energy.meters.allocation import check_exclusive, energy_plugin, names_of, slurm
from wattline.energy.meters.meter import MeterError
from wattline.records import Energy

BOUNDARIES = {
    "rapl": "CPU packages, and DRAM where it has a counter, of {nodes}: idle power included",
    "gpu": "accelerators of {nodes}: idle power included",
    "ipmi": "{nodes} at the sensor that the site chose in acct_gather.conf: idle power included",
    "xcc": "{nodes} at the input of the power supplies: idle power included",
    "pm_counters": "{nodes} at the blade's power input: idle power included",
    "ibmaem": "{nodes} at the blade's power input: idle power included",
}
TERMINAL = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT",
)  # fmt: skip
LARGEST_NODE_WATTS = 100_000.0
"""No node draws as much. A counter that went backwards appears as 2^64 microjoules, 18446744073709 J, or twice that."""
COLUMNS = (
    "JobID", "State", "ConsumedEnergyRaw", "ElapsedRaw", "NNodes", "NodeList",
    "TRESUsageInTot", "TRESUsageInMin", "TRESUsageInMinNode", "TRESUsageInMax", "TRESUsageInMaxNode",
)  # fmt: skip
POLL_SECONDS = 1.0


def step_energy(job: str, step: str, *, timeout_seconds: float = 120.0) -> Energy:
    """Energy of a step that has ended, e.g. ("1234", "0") or ("1234", "batch"), when it ran for the last time.

    See `step_energies`.
    """
    return step_energies(job, step, timeout_seconds=timeout_seconds)[-1]


def step_energies(job: str, step: str, *, timeout_seconds: float = 120.0) -> tuple[Energy, ...]:
    """Energy of a step that has ended, of all its nodes: one for each time that the job was started, oldest first.

    A job that was requeued keeps its number; what it did before is lost work and counts. `parameters` has the share of
    each node where Slurm kept it, which is for up to two nodes. Waits until the data base knows the end.

    timeout_seconds: longest wait [s]

    Raises MeterError where Slurm has no figure, an impossible one, or one that other jobs are part of: then a sum would
    be wrong. It has none of a step whose node failed, as that node took its count with it.
    """
    check_exclusive(job)
    plugin, period = energy_plugin()
    rows = _ended(f"{job}.{step}", timeout_seconds)
    return tuple(_attempt(row, number, plugin=plugin, period=period) for number, row in enumerate(rows, start=1))


def shares_of_nodes(row: Mapping[str, str]) -> dict[str, int]:
    """Joules of each node, from the least and the most of the nodes; empty for more than two, which Slurm adds up."""
    least, most = _joules_in(row["TRESUsageInMin"]), _joules_in(row["TRESUsageInMax"])
    total, nodes = _joules_in(row["TRESUsageInTot"]), row["NNodes"]
    first, last = _node_in(row["TRESUsageInMinNode"]), _node_in(row["TRESUsageInMaxNode"])
    if nodes == "1" and last and total is not None:
        return {last: total}
    if nodes != "2" or least is None or most is None or not first or not last or first == last:
        return {}
    return {first: least, last: most} if least + most == total else {}


def joules_of(text: str, step: str) -> int:
    """A count of Slurm's. Raises MeterError for what is none: it is empty where a sensor could not be read."""
    if not text.isdecimal():
        raise MeterError(f"Slurm has no energy of step {step} but {text!r}; its sensor cannot be read on that node")
    return int(text)


def figure(joules: int, seconds: float, nodes: tuple[str, ...], *, period: float, plugin: str, source: str) -> Energy:
    """A count of Slurm's as a record.

    seconds: what it is the energy of [s]
    period: how often the sensor is read [s]

    Raises MeterError for more than so many nodes can draw.
    """
    most = LARGEST_NODE_WATTS * max(1, len(nodes)) * (seconds + 2 * period)
    if joules > most:
        raise MeterError(f"Slurm counted {joules} J in {seconds:g} s ({source}); its sensor went backwards or wrapped")
    # At both ends the sensor may have been read one period ago, at any power that the step had: its mean is taken.
    blur = 2 * period * joules / max(seconds, 2 * period) + 1
    names = ", ".join(nodes)
    return Energy(
        joules=joules,
        interval=(max(0.0, joules - blur), joules + blur),
        provenance="measured",
        sensor=f"slurm:{plugin} ({source})",
        boundary=BOUNDARIES.get(plugin, "what the plugin " + plugin + " measures on {nodes}").format(nodes=names),
        seconds=seconds,
        resolution_joules=1.0,
        scope="devices" if plugin == "gpu" else "machine",
        parameters={"sensor is read": f"every {period:g} s", "nodes": names},
    )


def _attempt(row: Mapping[str, str], number: int, *, plugin: str, period: float) -> Energy:
    step, state = row["JobID"], row["State"]
    joules = joules_of(row["ConsumedEnergyRaw"], step)
    if joules == 0:
        raise MeterError(
            f"Slurm counted 0 J for step {step}, attempt {number}, which is {state}: it did not measure; "
            f"a node that fails loses its count, and otherwise the plugin {plugin} has no sensor there"
        )
    nodes, seconds = names_of(row["NodeList"]), float(row["ElapsedRaw"])
    energy = figure(joules, seconds, nodes, period=period, plugin=plugin, source=f"sacct:{step}")
    shares = {f"node {name}": f"{share} J" for name, share in shares_of_nodes(row).items()}
    return energy.model_copy(update={"parameters": {**energy.parameters, **shares, "state": state}})


def _ended(step: str, timeout_seconds: float) -> list[dict[str, str]]:
    """What the data base says of a step, once it says that its last run has ended: it is some seconds late."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        lines = slurm("sacct", "-n", "-P", "-D", "-j", step, "-o", ",".join(COLUMNS)).splitlines()
        cells = [line.split("|") for line in lines]
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in cells if len(row) == len(COLUMNS) and row[0] == step]
        if rows and all(row["State"].split(" ")[0] in TERMINAL for row in rows):
            return rows
        if time.monotonic() >= deadline:
            state = rows[-1]["State"] if rows else "not known to sacct"
            raise MeterError(f"step {step} is {state} after {timeout_seconds:g} s; ask again when it has ended")
        time.sleep(min(POLL_SECONDS, timeout_seconds))


def _joules_in(usage: str) -> int | None:
    found = re.search(r"(?:^|,)energy=(\d+)(?:,|$)", usage)
    return int(found[1]) if found else None


def _node_in(usage: str) -> str | None:
    found = re.search(r"(?:^|,)energy=([^,]+)(?:,|$)", usage)
    return found[1] if found else None
