"""Slurm's view of a job: whether its nodes were its own. Energy is counted by node, so only then is it the job's."""

import re
from collections.abc import Mapping

from wattline.energy.meters.meter import MeterError
from wattline.energy.meters.programs import find, run

TIMEOUT_SECONDS = 30.0
REMEDY = "load the module of Slurm, or use another meter"
ONLY_OURS = ("NO",)
"""What `scontrol show job` prints as OverSubscribe of a job with --exclusive. A job without has OK, also where it
happens to be alone; USER and MCS keep out only others' jobs, YES asks to share."""
SHARING_PARTITIONS = ("FORCE", "YES")


def slurm(program: str, *arguments: str) -> str:
    """What one of Slurm's programs prints. Raises MeterError."""
    return run([find(program, REMEDY), *arguments], timeout_seconds=TIMEOUT_SECONDS)


def check_exclusive(job: str) -> None:
    """Raises MeterError unless no other job could use any node of `job` while it ran.

    Either it was submitted with --exclusive, or it got every CPU of every node in a partition that does not hand out
    a CPU twice. A job that slurmctld has forgotten is judged by what slurmdbd knows of it, which is only the latter.
    """
    known = _known(job)
    if known.get("OverSubscribe") in ONLY_OURS:
        return
    nodes, partition = known.get("NodeList", ""), known.get("Partition", "")
    allocated, present = _number(known.get("NumCPUs")), _processors(nodes)
    if allocated is None or allocated < present:
        raise MeterError(
            f"job {job} is on a shared node: it has {allocated or 'an unknown number'} of {present} CPUs of {nodes}, "
            "and Slurm charges a node's energy to each of its jobs; submit with --exclusive"
        )
    shares = _fields(slurm("scontrol", "show", "partition", "--oneliner", partition)).get("OverSubscribe", "")
    if not shares or shares.startswith(SHARING_PARTITIONS):
        raise MeterError(
            f"job {job} is on a shared node: partition {partition} has OverSubscribe={shares or 'unknown'}; "
            "submit with --exclusive, or to another partition"
        )


def energy_plugin() -> tuple[str, float]:
    """Slurm's sensor, e.g. "ipmi", and how often it is read [s]. Raises MeterError where Slurm reads none."""
    found = dict(re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", slurm("scontrol", "show", "config"), re.MULTILINE))
    kind = found.get("AcctGatherEnergyType", "").removeprefix("acct_gather_energy/")
    if kind in ("", "none", "(null)"):
        raise MeterError(
            "Slurm measures no energy here (AcctGatherEnergyType is none); "
            "ask the administrator for a plugin like rapl, ipmi or pm_counters"
        )
    seconds = _number(found.get("AcctGatherNodeFreq", "").removesuffix(" sec"))
    if not seconds:
        raise MeterError(f"Slurm reads its energy sensor {kind} never (AcctGatherNodeFreq is 0); ask for 1 to 30 s")
    return kind, float(seconds)


def nodes_of(job: str) -> tuple[str, ...]:
    """Names of the nodes of a job."""
    return names_of(_known(job).get("NodeList", ""))


def names_of(nodes: str) -> tuple[str, ...]:
    """Names in a list like n[1-2]."""
    return tuple(slurm("scontrol", "show", "hostnames", nodes).split()) if nodes else ()


def _known(job: str) -> Mapping[str, str]:
    """NodeList, NumCPUs, Partition and, while slurmctld remembers the job, OverSubscribe."""
    try:
        return _fields(slurm("scontrol", "show", "job", "--oneliner", job))
    except MeterError as error:
        if "Invalid job id" not in str(error):
            raise
    columns = ("NodeList", "AllocCPUS", "Partition")
    rows = slurm("sacct", "-n", "-P", "-X", "-j", job, "-o", ",".join(columns)).splitlines()
    if len(rows) != 1 or rows[0].count("|") != 2:
        raise MeterError(f"Slurm does not know job {job}; check its number and the cluster")
    nodes, processors, partition = rows[0].split("|")
    return {"NodeList": nodes, "NumCPUs": processors, "Partition": partition}


def _processors(nodes: str) -> int:
    """CPUs that jobs can be given on these nodes. Raises MeterError where one does not say."""
    total = 0
    for line in slurm("scontrol", "show", "node", "--oneliner", nodes).splitlines():
        fields = _fields(line)
        # CPUEfctv leaves out the cores that Slurm keeps for itself; versions before 22.05 do not print it.
        count = _number(fields.get("CPUEfctv", fields.get("CPUTot")))
        if line.strip() and count is None:
            raise MeterError(f"Slurm does not say how many CPUs {fields.get('NodeName', nodes)} has")
        total += count or 0
    if not total:
        raise MeterError(f"Slurm does not know the nodes {nodes or '(none)'}; has the job started?")
    return total


def _fields(line: str) -> dict[str, str]:
    """Name and value of every `Name=value` in a line."""
    return dict(re.findall(r"(?:^|\s)([\w:/]+)=(\S*)", line))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
