"""The script of a stage as a Flux job: a small Flux of its own, in which the stage runs."""

import math
import re
import shlex
from collections.abc import Iterator

from wattline.errors import InputError
from wattline.hpc import preparing
from wattline.hpc.scheduler import Order
from wattline.params import ResourcesParams
from wattline.sites import prologue
from wattline.sites.quoting import words

UNWRITABLE = re.compile(r"[\x00-\x1f\x7f]|\{\{")
KEPT = ("HOME", "USER", "LOGNAME", "SHELL", "PATH")
"""Of the environment that submits: in an empty one not even a login shell finds a program."""


def flux(order: Order) -> str:
    """The script for `flux batch`. Raises InputError for what Flux could not do as it is meant."""
    wanted = preparing.resources(order)
    _check(order, wanted)
    wrapping = preparing.environment(order, gpus=bool(wanted.gpus_per_node))
    lines = [
        *preparing.heading(order, "Flux"),
        "# Flux leaves it to the site how much memory a job has, and begins no job again: run the stage again instead.",
        *(f"# flux: {option}" for option in _options(order, wanted)),
        *preparing.opening(order, exit_code=words([str(preparing.folder(order) / order.exit_code.name)])),
        *prologue.modules(order.profile),
        *_meeting(order, wanted),
        *preparing.variables(order, wanted.cpus_per_task or 1),
        *prologue.scratch(order.profile, order.token),
        "",
        "# What the stage runs in.",
        *wrapping.lines,
        *_launch(order, wanted, wrapping.command),
    ]
    return "\n".join(lines) + "\n"


def _check(order: Order, wanted: ResourcesParams) -> None:
    for path in (order.root.absolute(), preparing.folder(order)):
        if UNWRITABLE.search(str(path)):
            raise InputError(f"Flux cannot write below {str(path)!r}: rename what holds {{{{ or a line break")
    if order.array:
        raise InputError(f"Flux has no arrays of jobs, but {order.array!r} was asked for; use a site with Slurm")
    if order.profile.qos:
        raise InputError(f"Flux has no QoS, but the profile names {order.profile.qos!r}; empty qos, or use a queue")
    preparing.check_notice(order, wanted)
    tasks, gpus = wanted.tasks_per_node or 1, wanted.gpus_per_node or 0
    if gpus % tasks:
        raise InputError(
            f"stage {order.stage}: Flux gives every process as many GPUs, but {gpus} gpus_per_node cannot be shared by "
            f"{tasks} tasks_per_node; correct hpc.stages.{order.stage}"
        )


def _options(order: Order, wanted: ResourcesParams) -> Iterator[str]:
    """Flux reads quotes in such lines as a shell does."""
    nodes, tasks = wanted.nodes or 1, wanted.tasks_per_node or 1
    given = [
        f"--job-name={order.name}",
        f"--cwd={order.root.absolute()}",
        f"--output={preparing.folder(order) / order.log.name}",
        "--setopt=output.mode=append",
        "--env=-*",
        *(f"--env={name}" for name in KEPT),
        f"--nodes={nodes}",
        f"--nslots={nodes * tasks}",
        f"--cores-per-slot={wanted.cpus_per_task or 1}",
    ]
    yield from map(shlex.quote, given)
    if wanted.gpus_per_node:
        yield f"--gpus-per-slot={wanted.gpus_per_node // tasks}"
    if wanted.minutes is not None:
        yield f"--time-limit={wanted.minutes}m"
    if wanted.exclusive:
        yield "--exclusive"
    if order.profile.partition:
        yield f"--queue={order.profile.partition}"
    if order.profile.account:
        yield shlex.quote(f"--setattr=system.bank={order.profile.account}")
    yield from map(shlex.quote, order.profile.flags)


def _meeting(order: Order, wanted: ResourcesParams) -> Iterator[str]:
    yield "\n# Where the processes of this job meet: this script runs on the first of its nodes."
    yield f"MASTER_ADDR={'127.0.0.1' if (wanted.nodes or 1) == 1 else '$(hostname)'}"
    yield "export MASTER_ADDR"
    yield f"export MASTER_PORT={15000 + int(order.token, 16) % 15000}"


def _launch(order: Order, wanted: ResourcesParams, command: str) -> Iterator[str]:
    nodes, tasks = wanted.nodes or 1, wanted.tasks_per_node or 1
    options = f"--nodes={nodes} --ntasks={nodes * tasks} --cores-per-task={wanted.cpus_per_task or 1}"
    if wanted.gpus_per_node:
        options += f" --gpus-per-task={math.ceil(wanted.gpus_per_node / tasks)}"
    start = []
    if order.profile.scratch and nodes > 1:
        start.append('mkdir -p "$TMPDIR" && chmod 700 "$TMPDIR"')
    if nodes * tasks > 1:
        # What torchrun would set, and what wattline reads.
        start.append("export RANK=$FLUX_TASK_RANK WORLD_SIZE=$FLUX_JOB_SIZE LOCAL_RANK=$FLUX_TASK_LOCAL_ID")
        start.append(f"export GROUP_WORLD_SIZE={nodes} GROUP_RANK=$((FLUX_TASK_RANK / {tasks}))")
    yield from ("", '[ -z "$told" ] || exit 143', "code=0")
    if wanted.minutes is not None:
        yield from (
            "# The stage is told before the time limit. All jobs of this small Flux are this one.",
            f"{{ sleep {wanted.minutes * 60 - order.params.notice_seconds} & pause=$!; trap 'kill \"$pause\"' TERM;",
            '    wait "$pause" && flux job killall -f -s USR1; } > /dev/null 2>&1 &',
            "notice=$!",
        )
    yield f"flux run {options} \\\n    {preparing.started(command, first=start)} || code=$?"
    if wanted.minutes is not None:
        yield 'kill "$notice" 2> /dev/null'
    yield '[ "$code" = 0 ] || exit "$code"'
