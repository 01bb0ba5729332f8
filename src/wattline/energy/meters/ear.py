"""EAR: the energy that its node daemons account for a job step, from its database (`eacct`), after the step."""

import csv
import tempfile
import time
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from wattline.energy.meters.accounting import LARGEST_NODE_WATTS
from wattline.energy.meters.allocation import check_exclusive
from wattline.energy.meters.meter import MeterError
from wattline.energy.meters.programs import find, run
from wattline.records import Energy

TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 5.0
COLUMNS = ("NODENAME", "JOBID", "STEPID", "TIME_SEC", "DC_NODE_POWER_W")
"""Of the long form, `eacct -l -c`: one line for each node and step, in all versions from 3 to 6 of EAR."""
NODE_MANAGER = "NODEMGR_"
"""Before TIME_SEC and DC_NODE_POWER_W in the newest versions: the same of the whole step, as the node's daemon saw it.
The columns without are those of EAR's library then, and 0 for a program that did not load it."""
NUMBERS = {"batch": ("4294967291", "4294967294"), "interactive": ("4294967290",)}
"""How EAR numbers the steps that have a name: as Slurm does. The second is that of versions before Slurm 20.11."""


def step_energy(job: str, step: str, *, nodes: int, timeout_seconds: float = 120.0) -> Energy:
    """Energy of a step that has ended, e.g. ("1234", "0") or ("1234", "batch"), summed over its nodes.

    EAR keeps mean power and time of each node; their product is the energy that `eacct` shows.

    nodes: how many there have to be, since those of a slow node reach the database later
    timeout_seconds: longest wait for them [s]

    Raises MeterError where EAR has no figure, an impossible one, or one that other jobs are part of.
    """
    check_exclusive(job)
    program = find("eacct", "load EAR's module (`module load ear`), or use the meter slurm")
    deadline = time.monotonic() + timeout_seconds
    while True:
        rows = [row for row in _rows(program, job) if row["STEPID"] in NUMBERS.get(step, (step,))]
        if len({row["NODENAME"] for row in rows}) >= nodes:
            return energy(rows, step=f"{job}.{step}", nodes=nodes)
        if time.monotonic() >= deadline:
            raise MeterError(
                f"eacct knows {len(rows)} of {nodes} nodes of step {job}.{step} after {timeout_seconds:g} s; "
                "was the job submitted with EAR on (--ear=on), and has the step ended?"
            )
        time.sleep(min(POLL_SECONDS, timeout_seconds))


def energy(rows: Sequence[Mapping[str, str]], *, step: str, nodes: int) -> Energy:
    """Sum over the lines of one step. Raises MeterError for a line that is none, and for nodes too many or twice."""
    names = [row["NODENAME"] for row in rows]
    if len(set(names)) != len(names) or len(names) != nodes:
        raise MeterError(f"eacct has {len(names)} lines of step {step} for {nodes} nodes: {', '.join(names)[:200]}")
    watts, time_used = _column(rows[0], "DC_NODE_POWER_W"), _column(rows[0], "TIME_SEC")
    shares = {row["NODENAME"]: _joules(row, step) for row in rows}
    seconds = max(_number(row, time_used, step) for row in rows)
    joules = sum(shares.values())
    # Node daemons account whole seconds: power at both ends may be missed for one.
    blur = min(1.0, 2 / seconds)
    return Energy(
        joules=joules,
        interval=(joules * (1 - blur), joules * (1 + blur)),
        provenance="measured",
        sensor=f"ear:{watts} (eacct:{step})",
        boundary=f"{', '.join(names)} at the node's DC power sensor: every process on it, idle power included",
        seconds=seconds,
        resolution_joules=max(_number(row, watts, step) for row in rows),
        scope="machine",
        parameters={f"node {name}": f"{share:.6g} J" for name, share in shares.items()},
    )


def parse(text: str) -> list[dict[str, str]]:
    """Lines of the long form as mappings. Raises MeterError when a column is missing or a line is torn."""
    lines = list(csv.reader(text.splitlines(), delimiter=";"))
    if not lines:
        raise MeterError("eacct wrote an empty file")
    header, *rows = lines
    missing = [name for name in COLUMNS if header.count(name) != 1]
    if missing:
        raise MeterError(f"the table of eacct lacks the column {', '.join(missing)}; is this its long form (-l)?")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise MeterError(f"line {number} of the table of eacct has {len(row)} cells, its header has {len(header)}")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _rows(program: str, job: str) -> list[dict[str, str]]:
    """What EAR knows of a job now; nothing while its database does not have it."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "steps.csv"
        run([program, "-j", job, "-l", "-c", str(table)], timeout_seconds=TIMEOUT_SECONDS)
        text = table.read_text(encoding="utf-8", errors="replace") if table.is_file() else None
    return [row for row in parse(text) if row["JOBID"] == job] if text is not None else []


def _joules(row: Mapping[str, str], step: str) -> float:
    watts = _number(row, _column(row, "DC_NODE_POWER_W"), step)
    if watts > LARGEST_NODE_WATTS:
        raise MeterError(f"eacct says {watts:g} W of one node in step {step}; its sensor does not measure")
    return watts * _number(row, _column(row, "TIME_SEC"), step)


def _column(row: Mapping[str, str], name: str) -> str:
    return NODE_MANAGER + name if NODE_MANAGER + name in row else name


def _number(row: Mapping[str, str], column: str, step: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = float("nan")
    if not isfinite(value) or value <= 0:
        raise MeterError(
            f"{column} of step {step} on {row['NODENAME']} is {row[column]!r} at eacct: it did not measure"
        )
    return value
