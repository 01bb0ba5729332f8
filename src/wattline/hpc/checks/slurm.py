"""What a profile needs of a Slurm cluster: partition, account, QoS, size, and a counter of energy."""

import os
import pwd
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wattline.energy.meters.allocation import energy_plugin
from wattline.energy.meters.meter import MeterError
from wattline.errors import InputError, UnreachableError
from wattline.hpc.checks.finding import Finding
from wattline.hpc.commands import call
from wattline.hpc.scheduler import Order
from wattline.sites import Profile

PROGRAMS = ("sbatch", "squeue", "scontrol", "sinfo", "scancel", "srun")
NO_LIMIT = ("UNLIMITED", "NONE", "(null)", "")


def findings(profile: Profile, orders: Sequence[Order], scripts: Mapping[str, str]) -> Iterator[Finding]:
    """What is missing. Raises InputError where Slurm is not installed, UnreachableError where it does not answer."""
    for program in PROGRAMS:
        call((program, "--version"))
    partitions = _partitions()
    chosen, problem = _chosen(profile, partitions)
    if problem:
        yield problem
    for name in chosen:
        for order in orders:
            yield from _size(order, name, partitions[name])
    yield from _membership(profile)
    yield from _energy(profile, orders)
    for stage, script in scripts.items():
        yield from _trial(stage, script)


def elsewhere() -> bool:
    """Whether some node of the cluster is another machine."""
    lines = call(("scontrol", "show", "node", "--oneliner")).output
    hosts = {host.partition(".")[0] for host in re.findall(r"NodeHostName=(\S+)", lines)}
    return hosts != {socket.gethostname().partition(".")[0]}


def _partitions() -> dict[str, Mapping[str, str]]:
    answer = call(("scontrol", "show", "partition", "--oneliner"))
    if answer.code:
        raise UnreachableError(f"Slurm does not answer: {answer.complaint}; try sinfo, or ask again later")
    rows = (dict(re.findall(r"(\w+)=(\S*)", line)) for line in answer.output.splitlines())
    return {row["PartitionName"]: row for row in rows if "PartitionName" in row}


def _chosen(profile: Profile, partitions: Mapping[str, Mapping[str, str]]) -> tuple[tuple[str, ...], Finding | None]:
    """Partitions that a job would go to, and what is wrong with that."""
    known = ", ".join(sorted(partitions)) or "none at all"
    if not partitions:
        return (), Finding("scheduler", "Slurm shows no partition; its controller may be down, try: sinfo")
    if not profile.partition:
        default = tuple(name for name, row in partitions.items() if row.get("Default") == "YES")
        says = f"the cluster has no default partition; choose one of {known}"
        return default, None if default else Finding("partition", says)
    wanted = tuple(profile.partition.split(","))
    absent = [name for name in wanted if name not in partitions]
    says = f"the cluster has no partition {', '.join(absent)}; choose one of {known}"
    return tuple(name for name in wanted if name in partitions), Finding("partition", says) if absent else None


def _size(order: Order, name: str, row: Mapping[str, str]) -> Iterator[Finding]:
    """What an order asks for beyond what the partition has."""
    wanted, where = order.resources, f"hpc.stages.{order.stage}"
    if row.get("State") != "UP":
        yield Finding("partition", f"partition {name} is {row.get('State')}; wait, or choose another one")
    longest = minutes_of(row.get("MaxTime", ""))
    if wanted.minutes and longest is not None and wanted.minutes > longest:
        says = f"{wanted.minutes} min are more than the {longest} min of partition {name}; lower minutes"
        yield Finding(where, f"{says}: a training goes on in the next attempt")
    for key in ("MaxNodes", "TotalNodes"):
        most = row.get(key, "")
        if most.isdecimal() and (wanted.nodes or 1) > int(most):
            yield Finding(where, f"{wanted.nodes} nodes are more than the {most} of partition {name}; lower nodes")
            break
    yield from _node(order, name, where)


def _node(order: Order, name: str, where: str) -> Iterator[Finding]:
    """What an order asks of one node beyond what the largest one of the partition has."""
    wanted = order.resources
    answer = call(("sinfo", "--noheader", f"--partition={name}", "--format=%c|%m|%G"))
    rows = [line.split("|") for line in answer.output.splitlines() if line.count("|") == 2]
    if not rows:
        return
    processors = (wanted.tasks_per_node or 1) * (wanted.cpus_per_task or 1)
    largest = max(int(row[0].rstrip("+")) for row in rows)
    if processors > largest:
        yield Finding(
            where, f"{processors} CPUs on each node are more than the {largest} that {name} has; lower cpus_per_task"
        )
    memory = max(int(row[1].rstrip("+")) for row in rows) / 1024
    if wanted.memory_gib and wanted.memory_gib > memory:
        yield Finding(
            where,
            f"{wanted.memory_gib:g} GiB on each node are more than the {memory:.1f} GiB that {name} has; lower "
            "memory_gib",
        )
    accelerators = max(sum(map(int, re.findall(r"gpu(?::[^:,(]+)?:(\d+)", row[2]))) for row in rows)
    if (wanted.gpus_per_node or 0) > accelerators:
        yield Finding(
            where,
            f"{wanted.gpus_per_node} GPUs on each node are more than the {accelerators} that {name} has; lower "
            "gpus_per_node, or choose another partition",
        )


def minutes_of(limit: str) -> int | None:
    """A time limit such as 1-00:00:00 in whole minutes; None for no limit."""
    if limit in NO_LIMIT:
        return None
    days, _, clock = limit.rpartition("-")
    hours, minutes, _ = (int(part) for part in f"{clock}:0:0".split(":")[:3])
    return (int(days or 0) * 24 + hours) * 60 + minutes


def _membership(profile: Profile) -> Iterator[Finding]:
    """Whether this user may use account and QoS. Without accounting nobody says, and nobody objects."""
    if not profile.account and not profile.qos:
        return
    user = pwd.getpwuid(os.getuid()).pw_name
    command = ("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", "format=Account,QOS")
    try:
        answer = call(command)
    except InputError as error:
        yield Finding("account", str(error), missing=False)
        return
    if answer.code:
        yield Finding("account", f"Slurm does not say which accounts there are: {answer.complaint}", missing=False)
        return
    rows = [line.split("|") for line in answer.output.splitlines() if line.count("|") == 1]
    accounts = sorted({row[0].lower() for row in rows})
    if profile.account and profile.account.lower() not in accounts:
        known = ", ".join(accounts) or "none"
        yield Finding("account", f"{user} has no account {profile.account}; choose one of: {known}")
    known_qos = sorted({name for row in rows for name in row[1].split(",") if name} | _all_qos())
    if profile.qos and profile.qos not in known_qos:
        yield Finding("qos", f"there is no QoS {profile.qos}; choose one of: {', '.join(known_qos) or 'none'}")


def _all_qos() -> set[str]:
    return set(call(("sacctmgr", "--noheader", "--parsable2", "show", "qos", "format=Name")).output.split())


def _energy(profile: Profile, orders: Sequence[Order]) -> Iterator[Finding]:
    """Whether what should count energy does."""
    if profile.energy == "none":
        return
    for order in orders:
        if not order.resources.exclusive and order.stage == "train":
            yield Finding(
                "energy",
                f"counters are those of whole nodes, but stage {order.stage} shares its own: set "
                f"hpc.stages.{order.stage}.exclusive to true, or energy to none",
            )
    if profile.energy == "slurm":
        try:
            energy_plugin()
        except MeterError:
            yield Finding("energy", "this Slurm counts no energy (AcctGatherEnergyType); set energy to none")
    elif call(("bash", "-lc", "command -v eacct")).code:
        yield Finding("energy", "there is no eacct on PATH here; load the module of EAR, or set energy to none")


def _trial(stage: str, script: str) -> Iterator[Finding]:
    """What Slurm itself would refuse; nothing is submitted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.sh"
        path.write_text(script)
        answer = call(("sbatch", "--test-only", str(path)))
    if answer.code:
        yield Finding(f"hpc.stages.{stage}", f"Slurm would refuse the script: {answer.complaint}; see the lines above")
