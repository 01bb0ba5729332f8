"""What gitlab-ci-local wrote, read as GitLab would judge it: its exit code and its last lines forgive too much."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["passed", "warned", "failed", "unfinished"]
MARKS: Mapping[str | None, State] = {None: "passed", "WARN": "warned", "FAIL": "failed"}
SECONDS = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001, "μs": 0.000001}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
WHO = r"^\t*(?:\[(?P<trigger>[^\]]+)\] -> )?(?P<name>[^$>]+?)\s+"
STARTS = re.compile(WHO + r"starting shell \((?P<stage>[^)]+)\)$")
ENDS = re.compile(
    WHO + r"finished in (?P<amount>[\d.]+) (?P<unit>h|min|s|ms|μs)(?:\s+(?P<mark>FAIL|WARN) (?P<code>\d+))?$"
)
SUMMARY_FAILS = re.compile(r"^ FAIL\s+(?:\[[^\]]+\] -> )?(?P<name>[^$>]+?)\s*$")
TAIL = 60
"""Lines of a failing job that are shown."""


@dataclass(frozen=True)
class Job:
    """One job that was started.

    trigger: the job that started the child pipeline to which it belongs
    code: exit code; None while it did not finish
    said: what it printed, line by line
    """

    name: str
    stage: str
    state: State
    trigger: str | None = None
    code: int | None = None
    seconds: float = 0.0
    said: tuple[str, ...] = field(default=(), repr=False)

    @property
    def tail(self) -> str:
        return "\n".join((f"--- {self.name}: {self.state}, exit code {self.code}", *self.said[-TAIL:]))


def jobs(log: str) -> dict[str, Job]:
    """Job -> how it went. A job of a child pipeline is called `trigger/name`."""
    lines = [COLOUR.sub("", line).rstrip() for line in log.splitlines()]
    found: dict[str, Job] = {}
    for line in lines:
        start, end = STARTS.match(line), ENDS.match(line)
        if start:
            key = _key(start)
            said = tuple(_said(lines, start["name"], trigger=start["trigger"]))
            found[key] = Job(start["name"], start["stage"], "unfinished", trigger=start["trigger"], said=said)
        elif end and _key(end) in found:
            job = found[_key(end)]
            found[_key(end)] = Job(
                job.name,
                job.stage,
                MARKS[end["mark"]],
                trigger=job.trigger,
                code=int(end["code"] or 0),
                seconds=float(end["amount"]) * SECONDS[end["unit"]],
                said=job.said,
            )
    return found


def problems(log: str, *, code: int | None, triggers: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Why GitLab would call this pipeline failed; empty where it would not.

    code: exit code of gitlab-ci-local; None when it was ended because its time was over
    triggers: jobs that start a child pipeline
    expected: jobs that an event starts by itself, or somebody by hand
    """
    found = jobs(log)
    marked = {match["name"] for line in log.splitlines() if (match := SUMMARY_FAILS.match(COLOUR.sub("", line)))}
    said = [f"{key} ended with {job.code}" for key, job in found.items() if job.state == "failed"]
    said += [f"{key} did not finish" for key, job in found.items() if job.state == "unfinished"]
    known = {job.name for job in found.values() if job.state == "failed"}
    said += [f"{name} is marked FAIL" for name in sorted(marked - known)]
    children = {job.trigger for job in found.values()}
    said += [f"{name} started no child pipeline" for name in triggers if name not in children]
    said += [f"{name} did not run" for name in expected if name not in found and name not in triggers]
    if code is None:
        said.append("it did not end in time")
    elif code:
        said.append(f"gitlab-ci-local ended with {code}")
    return said


def _key(match: "re.Match[str]") -> str:
    return f"{match['trigger']}/{match['name']}" if match["trigger"] else match["name"]


def _said(lines: Iterable[str], name: str, *, trigger: str | None) -> Iterator[str]:
    start = re.compile(rf"^\t*{re.escape(f'[{trigger}] -> ' if trigger else '')}{re.escape(name)}\s+(?=[$>] )")
    for line in lines:
        if start.match(line):
            yield start.sub("", line)


def expected(listed: Iterable[Mapping[str, Any]], *, by_hand: Iterable[str]) -> list[str]:
    """Names of jobs that have to run, of those that `--list-json` tells."""
    chosen = set(by_hand)
    return [job["name"] for job in listed if job["when"] in {"on_success", "always"} or job["name"] in chosen]
