"""Slurm behind the seam: sbatch, squeue, scontrol, sacct and scancel, and what their answers mean."""

import os
import re
from collections.abc import Iterable, Mapping

from wattline.energy.meters.allocation import names_of
from wattline.energy.meters.meter import MeterError
from wattline.errors import InputError, UnreachableError
from wattline.hpc import script
from wattline.hpc.commands import Answer, call
from wattline.hpc.scheduler import Look, Order, State
from wattline.settings import for_job

RUNNING = ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
WORDS = {
    **dict.fromkeys(RUNNING, State.RUNNING),
    **dict.fromkeys(PENDING, State.PENDING),
    "BOOT_FAIL": State.NODE_FAIL,
    "DEADLINE": State.TIMEOUT,
    "REVOKED": State.CANCELLED,
}
"""Further words of Slurm for what a job is."""

SILENT = re.compile(
    r"unable to contact|unable to establish|connection (refused|timed out|reset|failure)|timed out|not responding"
    r"|zero bytes|temporarily unable|try again|persistent connection|unexpected message",
    re.IGNORECASE,
)
"""What Slurm's programs say while a controller or the accounting does not answer."""
NO_ACCOUNTING = re.compile(r"accounting storage is disabled|accounting_storage/none", re.IGNORECASE)
UNKNOWN = re.compile(r"invalid job id|already completing|already completed|job/step already", re.IGNORECASE)

REMEDIES = (
    ("account", "correct `account` in the site's profile; `sacctmgr show associations user=$USER` lists yours"),
    ("partition", "correct `partition` in the site's profile; `sinfo` lists them"),
    ("qos", "correct `qos` in the site's profile; `sacctmgr show qos` lists them"),
    ("array", "ask for fewer workers; `scontrol show config` has the largest as MaxArraySize"),
    ("time limit", "lower `minutes` in hpc.stages of params.yaml; `sinfo -o '%P %l'` lists the limits"),
    ("limit", "wait for other jobs of yours to end, or ask for less in hpc.stages of params.yaml"),
    ("policy", "wait for other jobs of yours to end, or ask for less in hpc.stages of params.yaml"),
    ("memory", "lower `memory_gib` in hpc.stages of params.yaml; `sinfo -o '%P %m'` lists what nodes have, in MB"),
    ("gres", "correct `gpus_per_node` in hpc.stages of params.yaml, or `flags` in the profile; see `sinfo -o '%P %G'`"),
    ("node", "ask for less in hpc.stages of params.yaml; `sinfo -o '%P %D %c %m %G'` lists what there is"),
    ("processors", "ask for less in hpc.stages of params.yaml; `sinfo -o '%P %D %c %m %G'` lists what there is"),
)
"""A word of Slurm's refusal, and what to do. The first one that is found holds."""
LAST_RESORT = "try `sbatch --test-only {script}`"

COLUMNS = ("JobIDRaw", "JobName", "State", "ExitCode", "NodeList", "Submit", "Start", "End", "ElapsedRaw")
KIB_PER_GIB = 2.0**20


class Slurm:
    """A cluster with Slurm, asked through its programs. See `Scheduler`."""

    name = "slurm"

    def render(self, order: Order) -> str:
        return script.slurm(order, array=order.array or None)

    def submit(self, order: Order) -> str:
        # With what the script itself asks for, Slurm would open a login shell before the script's own, which takes
        # seconds: so it hands on an environment that is as good as empty.
        command = ("sbatch", "--parsable", "--export=ALL", str(order.script))
        answer = _asked(*command, environment=for_job())
        if answer.code < 0:  # it may have handed in the job before
            raise UnreachableError(f"sbatch was ended by signal {-answer.code}")
        if answer.code:
            raise InputError(f"Slurm refuses the job {order.name}: {answer.complaint}; {_remedy(answer, order)}")
        found = re.fullmatch(r"(\d+)(;\S+)?", answer.output.strip().splitlines()[-1] if answer.output.strip() else "")
        if not found:
            raise UnreachableError(f"sbatch said {answer.output.strip()[:200]!r}, which is no number of a job")
        return found[1]

    def find(self, name: str) -> str | None:
        answer = _asked("squeue", "--noheader", "--states=all", f"--name={name}", "--format=%F", *_mine())
        if answer.code:
            raise UnreachableError(f"squeue failed: {answer.complaint}")
        if numbers := answer.output.split():
            return numbers[-1]
        rows = _accounted(f"--name={name}", "--starttime=now-30days", *_mine())
        return rows[-1]["JobIDRaw"] if rows else None

    def look(self, job: str) -> Look | None:
        answer = _asked("scontrol", "show", "job", "--oneliner", job)
        if answer.code == 0:
            looks = [_from_controller(line) for line in answer.output.splitlines() if line.strip()]
            of_array = "ArrayJobId=" in answer.output
            return _explained(_combined([*looks, *(_forgotten(job, looks) if of_array else ())]))
        if not UNKNOWN.search(answer.complaint):
            raise UnreachableError(f"scontrol failed: {answer.complaint}")
        rows = _accounted("--duplicates", f"--jobs={job}")
        return _explained(_combined(_from_accounting(rows))) if rows else None

    def cancel(self, job: str) -> None:
        answer = _asked("scancel", job)
        if answer.code and not UNKNOWN.search(answer.complaint):
            raise UnreachableError(f"scancel failed: {answer.complaint}")


def _asked(*command: str, environment: Mapping[str, str] | None = None) -> Answer:
    answer = call(command, environment=environment)
    if answer.code and SILENT.search(answer.complaint):
        raise UnreachableError(f"Slurm does not answer: {answer.complaint}")
    return answer


def _mine() -> tuple[str, ...]:
    return (f"--user={os.getuid()}",)


def _remedy(answer: Answer, order: Order) -> str:
    said = answer.complaint.lower()
    return next((remedy for word, remedy in REMEDIES if word in said), LAST_RESORT.format(script=order.script))


def _from_controller(line: str) -> Look:
    """A job as `scontrol show job --oneliner` shows it. Raises UnreachableError for what is no such line."""
    # A path or a comment may hold words like these, too; they come after those that count.
    fields = dict(reversed(re.findall(r"(?:^|\s)([\w:/]+)=(\S*)", line)))
    state = _state(fields.get("JobState", ""))
    if state is None or not fields.get("JobId") or not fields.get("JobName"):
        raise UnreachableError(f"scontrol said {line[:200]!r}, which is no description of a job")
    submitted, began = _number(fields.get("SubmitTime")), _number(fields.get("StartTime"))
    started = began is not None and state is not State.PENDING
    return Look(
        job=fields["JobId"],
        name=fields["JobName"],
        state=state,
        exit_code=_exit_code(fields.get("ExitCode", "")) if state.ended else None,
        reason="" if fields.get("Reason") == "None" else fields.get("Reason", ""),
        nodes=_names("" if fields.get("NodeList") == "(null)" else fields.get("NodeList", "")),
        restarts=int(_number(fields.get("Restarts")) or 0),
        queue_seconds=began - submitted if started and began is not None and submitted is not None else None,
        run_seconds=_clock(fields.get("RunTime", "")) if started else None,
    )


def _combined(looks: Iterable[Look]) -> Look:
    """One look at all tasks of an array: it is running until the last one ended, and as good as its worst."""
    found = list(looks)
    if not found:
        raise UnreachableError("scontrol said nothing of the job")
    order = (State.RUNNING, State.PENDING, *(state for state in State if state.ended and state != State.COMPLETED))
    return next((look for state in order for look in found if look.state == state), found[-1])


def _forgotten(job: str, looks: list[Look]) -> list[Look]:
    """Tasks of an array that ended so long before the others that the controller has forgotten them."""
    if not all(look.state.ended for look in looks):
        return []
    known = {look.job for look in looks}
    return [look for look in _from_accounting(_accounted("--duplicates", f"--jobs={job}")) if look.job not in known]


def _from_accounting(rows: list[dict[str, str]]) -> list[Look]:
    """A job that the controller has forgotten, or each task of an array, by the last time that it was started."""
    last = {row["JobIDRaw"]: row for row in rows}
    return [_from_row(row, sum(_same(row, one) for one in rows) - 1) for row in last.values()]


def _same(row: dict[str, str], other: dict[str, str]) -> bool:
    """Whether both are of one job: a number is given anew after a while."""
    return all(row[name] == other[name] for name in ("JobIDRaw", "JobName"))


def _from_row(row: dict[str, str], restarts: int) -> Look:
    state = _state(row["State"].split(" ")[0])
    if state is None:
        raise UnreachableError(f"sacct said {'|'.join(row.values())[:200]!r}, which is no description of a job")
    submitted, began = _number(row["Submit"]), _number(row["Start"])
    return Look(
        job=row["JobIDRaw"],
        name=row["JobName"],
        state=state,
        exit_code=_exit_code(row["ExitCode"]) if state.ended else None,
        nodes=_names("" if row["NodeList"] == "None assigned" else row["NodeList"]),
        restarts=restarts,
        queue_seconds=began - submitted if began is not None and submitted is not None else None,
        run_seconds=_number(row["ElapsedRaw"]),
    )


def _explained(look: Look) -> Look:
    """With what only the accounting knows, where there is one: who cancelled, and how much memory was used."""
    if look.state not in (State.CANCELLED, State.OUT_OF_MEMORY):
        return look
    try:
        rows = _accounted("--duplicates", f"--jobs={look.job}", columns=("State", "MaxRSS"), steps=True)
    except UnreachableError:
        return look
    by = [row["State"].partition(" by ")[2] for row in rows if " by " in row["State"]]
    used = [_number(row["MaxRSS"].removesuffix("K")) for row in rows if row["MaxRSS"].endswith("K")]
    peak = max((kib for kib in used if kib), default=None)
    return Look(
        **{
            **vars(look),
            "reason": f"by user {by[-1]}" if by else look.reason,
            "peak_gib": peak / KIB_PER_GIB if peak and look.state is State.OUT_OF_MEMORY else None,
        }
    )


def _accounted(*options: str, columns: tuple[str, ...] = COLUMNS, steps: bool = False) -> list[dict[str, str]]:
    """Lines of sacct; none where this Slurm keeps no accounts."""
    whole = () if steps else ("--allocations",)
    answer = _asked("sacct", "--noheader", "--parsable2", *whole, f"--format={','.join(columns)}", *options)
    if answer.code:
        if NO_ACCOUNTING.search(answer.complaint):
            return []
        raise UnreachableError(f"sacct failed: {answer.complaint}")
    cells = [line.split("|") for line in answer.output.splitlines()]
    return [dict(zip(columns, row, strict=True)) for row in cells if len(row) == len(columns)]


def _state(word: str) -> State | None:
    return WORDS.get(word) or (State(word) if word in State.__members__ else None)


def _exit_code(text: str) -> int | None:
    """Of a script that Slurm describes as CODE:SIGNAL; 128 and the signal, as a shell has it, where one ended it."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    return (int(found[1]) or (128 + int(found[2]) if found[2] != "0" else 0)) if found else None


def _names(nodes: str) -> tuple[str, ...]:
    try:
        return names_of(nodes)
    except MeterError:
        return (nodes,)  # a list like n[1-2] is good enough for a message


def _number(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None


def _clock(text: str) -> float | None:
    """Seconds of [DAYS-]HOURS:MINUTES:SECONDS."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if not found:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
