"""Flux behind the seam of schedulers: what its programs are asked, and what their answers mean."""

import json
import re
import string
from collections.abc import Mapping
from typing import Any

from wattline.errors import InputError, UnreachableError
from wattline.hpc import flux_script
from wattline.hpc.commands import Answer, call
from wattline.hpc.scheduler import Look, Order, State

ALPHABET = "".join(sorted(set(string.digits + string.ascii_letters) - set("0IOl")))
"""Digits of an F58 number, RFC 19 of Flux."""

RESULTS = {
    "COMPLETED": State.COMPLETED,
    "FAILED": State.FAILED,
    "CANCELED": State.CANCELLED,
    "TIMEOUT": State.TIMEOUT,
}
WAITING = ("NEW", "DEPEND", "PRIORITY", "SCHED")
UNKNOWN = re.compile(r"unknown job|unknown id|no such job|JobID .* unknown|inactive", re.IGNORECASE)
SILENT = re.compile(r"unable to connect|connection refused|no such file or directory|timed out", re.IGNORECASE)
LOST = re.compile(r"node.?failure|lost contact|node .*(down|lost)", re.IGNORECASE)
MEMORY = re.compile(r"out of memory|oom", re.IGNORECASE)


class Flux:
    """An instance of Flux, asked through its programs. See `Scheduler`."""

    name = "flux"

    def render(self, order: Order) -> str:
        return flux_script.flux(order)

    def submit(self, order: Order) -> str:
        answer = _asked("batch", str(order.script))
        if answer.code:
            raise InputError(
                f"Flux refuses the job {order.name}: {answer.complaint}; correct the profile or hpc.stages, and try "
                f"flux batch --dry-run {order.script}"
            )
        return decimal(answer.output)

    def find(self, name: str) -> str | None:
        found = [job for job in _jobs("-a", f"--name={name}") if job.get("name") == name]
        newest = max(found, key=lambda job: float(job.get("t_submit") or 0), default=None)
        return None if newest is None else str(newest["id"])

    def look(self, job: str) -> Look | None:
        found = _jobs(job)
        return _look(found[0]) if found else None

    def cancel(self, job: str) -> None:
        answer = _asked("cancel", job)
        if answer.code and not UNKNOWN.search(answer.complaint):
            raise UnreachableError(f"flux cancel {job} failed: {answer.complaint}")


def decimal(printed: str) -> str:
    """The number of a job as digits, from what `flux batch` prints: F58 such as ƒiFkbMhFM, or digits already."""
    text = printed.strip()
    if text.isdecimal():
        return text
    digits = [ALPHABET.find(digit) for digit in text[1:]]
    if not digits or text[0] not in "ƒf" or min(digits) < 0:
        raise UnreachableError(f"flux batch printed {text[:80]!r}, which is no number of a job")
    number = 0
    for digit in digits:
        number = number * len(ALPHABET) + digit
    return str(number)


def _asked(*arguments: str) -> Answer:
    answer = call(("flux", *arguments))
    if answer.code and SILENT.search(answer.complaint):
        raise UnreachableError(f"Flux does not answer: {answer.complaint}")
    return answer


def _jobs(*arguments: str) -> list[Mapping[str, Any]]:
    """Jobs as Flux describes them. Of one that it does not know, older versions say so and exit with 0."""
    answer = _asked("jobs", "--json", *arguments)
    if not answer.output.strip() or answer.code:
        if answer.code and not UNKNOWN.search(answer.complaint):
            raise UnreachableError(f"flux jobs failed: {answer.complaint}")
        return []
    try:
        tree = json.loads(answer.output)
        found = tree.get("jobs", [tree])
        return [job for job in found if job["id"] is not None]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnreachableError(f"flux jobs said {answer.output[:200]!r}, which describes no job") from None


def _look(job: Mapping[str, Any]) -> Look:
    state = _state(job)
    code = job.get("returncode")
    submitted, began = job.get("t_submit"), job.get("t_run")
    return Look(
        job=str(job["id"]),
        name=str(job.get("name", "")),
        state=state,
        exit_code=int(code) if state.ended and isinstance(code, int) and code >= 0 else None,
        reason=_reason(job),
        nodes=expanded(str(job.get("nodelist") or "")),
        queue_seconds=float(began) - float(submitted) if began and submitted else None,
        run_seconds=float(job["runtime"]) if job.get("runtime") else None,
    )


def _state(job: Mapping[str, Any]) -> State:
    if job.get("state") in WAITING:
        return State.PENDING
    if job.get("state") in ("RUN", "CLEANUP"):
        return State.RUNNING
    kind, reason = str(_exception(job).get("type", "")), _reason(job)
    if kind == "preempt":
        return State.PREEMPTED
    result = RESULTS.get(str(job.get("result")))
    if result is None:
        raise UnreachableError(f"Flux says that job {job['id']} is {job.get('state')!r} with {job.get('result')!r}")
    if result is State.FAILED and LOST.search(f"{kind} {reason}"):
        return State.NODE_FAIL
    if result is State.FAILED and MEMORY.search(reason):
        return State.OUT_OF_MEMORY
    return result


def _exception(job: Mapping[str, Any]) -> Mapping[str, Any]:
    found = job.get("exception")
    return found if isinstance(found, dict) and found.get("occurred") else {}


def _reason(job: Mapping[str, Any]) -> str:
    """Why it ended, or why it waits."""
    exception = _exception(job)
    if exception:
        return " ".join(f"{exception.get('type', '')}: {exception.get('note', '')}".split())
    annotations = job.get("annotations") or {}
    return str((annotations.get("sched") or {}).get("reason_pending", ""))


def expanded(nodes: str) -> tuple[str, ...]:
    """Names in a list such as n[1-2,07],login."""
    names: list[str] = []
    for prefix, inside, suffix in re.findall(r"([^,\[\]]+)(?:\[([^\]]*)\]([^,\[\]]*))?", nodes):
        for part in inside.split(",") if inside else [""]:
            first, _, last = part.partition("-")
            count = range(int(first), int(last or first) + 1) if first else [None]
            names += [f"{prefix}{'' if n is None else str(n).zfill(len(first))}{suffix}" for n in count]
    return tuple(names)
