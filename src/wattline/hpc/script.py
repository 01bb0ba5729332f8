"""The script of a stage as a Slurm job: plain bash, commented for who reads it."""

import math
import re
from collections.abc import Iterator

from wattline.errors import InputError
from wattline.hpc import preparing
from wattline.hpc.scheduler import Order
from wattline.params import ResourcesParams
from wattline.sites import prologue
from wattline.sites.quoting import words

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\\]")
ARRAY = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*(%[1-9]\d*)?")


def slurm(order: Order, *, array: str | None = None) -> str:
    """The script for `sbatch`. Raises InputError for what Slurm could not do as it is meant.

    array: indices of an array of such jobs, e.g. 1-8%2; each has a log and an exit code of its own
    """
    wanted = preparing.resources(order)
    _check(order, wanted, array)
    wrapping = preparing.environment(order, gpus=bool(wanted.gpus_per_node))
    lines = [
        *preparing.heading(order, "Slurm"),
        *_directives(order, wanted, array),
        *preparing.opening(order, exit_code=_exit_code(order, array)),
        *prologue.modules(order.profile),
        *_meeting(wanted),
        *preparing.variables(order, wanted.cpus_per_task or 1),
        *prologue.scratch(order.profile, "$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}"),
        "",
        "# What the stage runs in.",
        *wrapping.lines,
        *_launch(order, wanted, wrapping.command),
        *_ending(order, array),
    ]
    return "\n".join(lines) + "\n"


def _check(order: Order, wanted: ResourcesParams, array: str | None) -> None:
    for path in (order.root.absolute(), preparing.folder(order)):
        if UNPRINTABLE.search(str(path)):
            raise InputError(f"Slurm cannot write below {str(path)!r}: rename what holds a backslash or a line break")
    if array is not None and not ARRAY.fullmatch(array):
        raise InputError(f"an array of jobs is written like 1-8%2, got {array!r}")
    preparing.check_notice(order, wanted)


def _directives(order: Order, wanted: ResourcesParams, array: str | None) -> Iterator[str]:
    profile = order.profile
    yield ""
    yield from map(_directive, _place(order, array))
    yield "# After a preemption, a dead node or a time limit the same job begins again, and a training goes on."
    yield _directive("--requeue")
    yield _directive(f"--signal=USR1@{order.params.notice_seconds}")
    yield "# Nothing of the environment that submits travels: what the job needs is exported below."
    yield _directive("--export=NIL")
    for name in ("account", "partition", "qos"):
        if value := getattr(profile, name):
            yield _directive(f"--{name}={value}")
    yield from map(_directive, _amounts(wanted, profile.gpu_option))
    yield from map(_directive, profile.flags)


def _place(order: Order, array: str | None) -> Iterator[str]:
    yield f"--job-name={order.name}"
    yield f"--chdir={order.root.absolute()}"
    # In this option % begins a pattern.
    log = str(preparing.folder(order) / order.log.name).replace("%", "%%")
    yield f"--output={log if array is None else log.removesuffix('.log') + '-%a.log'}"
    yield "--open-mode=append"
    if array is not None:
        yield f"--array={array}"


def _amounts(wanted: ResourcesParams, gpu_option: str) -> Iterator[str]:
    yield f"--nodes={wanted.nodes or 1}"
    yield f"--ntasks-per-node={wanted.tasks_per_node or 1}"
    yield f"--cpus-per-task={wanted.cpus_per_task or 1}"
    if wanted.gpus_per_node:
        yield (
            f"--gres=gpu:{wanted.gpus_per_node}" if gpu_option == "gres" else f"--gpus-per-node={wanted.gpus_per_node}"
        )
    if wanted.memory_gib is not None:
        yield f"--mem={math.ceil(wanted.memory_gib * 1024)}M"
    if wanted.minutes is not None:
        yield f"--time={wanted.minutes}"
    if wanted.exclusive:
        yield "--exclusive"


def _directive(option: str) -> str:
    """Slurm reads quotes and backslashes in such lines as a shell does."""
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./\[\]-]+", option):
        return f"#SBATCH {option}"
    name, _, value = option.partition("=")
    return f'#SBATCH {name}="{value.replace(chr(34), chr(92) + chr(34))}"'


def _exit_code(order: Order, array: str | None) -> str:
    path = words([str(preparing.folder(order) / order.exit_code.name)])
    return path if array is None else f'{path}-"$SLURM_ARRAY_TASK_ID"'


def _meeting(wanted: ResourcesParams) -> Iterator[str]:
    """Where the processes of a job meet; two jobs on a node should not choose the same port."""
    yield "\n# Where the processes of this job meet: a port of its first node that follows from the job's number."
    if (wanted.nodes or 1) == 1:
        yield "export MASTER_ADDR=127.0.0.1"
    else:
        yield 'MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'
        yield "export MASTER_ADDR"
    yield "export MASTER_PORT=$((15000 + SLURM_JOB_ID % 15000))"


def _launch(order: Order, wanted: ResourcesParams, command: str) -> Iterator[str]:
    nodes, tasks, cpus = wanted.nodes or 1, wanted.tasks_per_node or 1, wanted.cpus_per_task or 1
    options = f"--export=ALL --nodes={nodes} --ntasks-per-node={tasks} --cpus-per-task={cpus}"
    if nodes * tasks > 1:
        # Whoever ends first must not take along those that still keep a checkpoint.
        options += " --kill-on-bad-exit=0 --wait=0"
    own = ['mkdir -p "$TMPDIR" && chmod 700 "$TMPDIR"'] if order.profile.scratch and nodes > 1 else []
    yield from (
        "",
        "# USR1 before the time limit goes to the stage alone, which ignores it until a training listens.",
        '[ -z "$told" ] || exit 143',
        "code=0",
        f"srun {options} \\\n    {preparing.started(command, first=own)} || code=$?",
    )
    if own:
        yield "# Other nodes may have a scratch of their own."
        yield f'srun --export=ALL --overlap --nodes={nodes} --ntasks-per-node=1 rm -rf "$TMPDIR"'


def _ending(order: Order, array: str | None) -> Iterator[str]:
    job = "$SLURM_JOB_ID" if array is None else "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
    limit = order.params.maximum_restarts
    yield from (
        "",
        "# 143: the stage was told to end. This script may hear of that after it.",
        '[ "$code" != 143 ] || told=yes',
        "# 75: a training kept a checkpoint and would go on. Slurm itself requeues what it preempted, and what was",
        "# cancelled must not come back: so this is only done where the script was not told to end.",
        'if [ "$code" = 75 ] && [ -z "$told" ]; then',
        f'    if [ "${{SLURM_RESTART_COUNT:-0}}" -ge {limit} ]; then',
        f'        echo "wattline: paused after {limit} restarts (hpc.maximum_restarts); run it again to go on" >&2',
        "    else",
        "        again=yes",
        f'        scontrol requeue "{job}" || again=',
        "    fi",
        "fi",
        '[ "$code" = 0 ] || exit "$code"',
    )
