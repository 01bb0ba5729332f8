"""One point of a server: how fast it answers how many clients, and whether its answers are right."""

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from servers import payloads
from servers.catalogue import Route
from servers.process import CLIENT_CORE, Meter, Server, pinned
from servers.questions import answers, questions
from servers.work import Phase, Seen, Work

BENCHMARKS = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).with_name("closed.lua")
WRK = shutil.which("wrk")
QUESTIONS = {1: 16, 64: 4}
"""Windows in a request -> how many different requests are asked in turn."""
WARM_SECONDS = 0.5
OPEN_CONNECTIONS = 256


@dataclass(frozen=True)
class Reading:
    """One point.

    windows: in each request
    clients: that ask as soon as they are answered; 0 for an open loop
    rate: requests that became due in a second; 0 for a closed loop
    answers, sent_away, failures, wrong: requests answered 200, answered 503, neither, and answered with other scores
        than ours
    p50_ms, p99_ms: from when a request was due to its answer [ms]
    cpu_seconds: of all processes of the server [s]
    foreign: share of the two cores that others used meanwhile
    """

    row: str
    windows: int
    clients: int
    rate: float
    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failures: int
    wrong: int
    cpu_seconds: float
    foreign: float
    sent_away: int = 0

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


class Asked:
    """Files with the requests of one route, and the answers that they must get."""

    def __init__(self, folder: Path, models: Mapping[str, Path], route: Route, headers: Mapping[str, str]) -> None:
        """models: version that an answer may name -> folder of the graph; "" for a server that names none"""
        self._folder, self._models, self._route, self._headers = folder, models, route, headers
        folder.mkdir(parents=True, exist_ok=True)

    def files(self, windows: int, *, keep_alive: bool = True) -> tuple[str, ...]:
        """Requests of so many windows each."""
        paths = []
        for number, question in enumerate(questions(QUESTIONS[windows], windows)):
            path = self._folder / f"{windows}-{number}-{'kept' if keep_alive else 'closed'}"
            if not path.exists():
                body = payloads.FORMATS[self._route.form](question)
                path.write_bytes(payloads.request(self._route.path, body, headers=self._headers, keep_alive=keep_alive))
            paths.append(str(path))
        return tuple(paths)

    def expected(self, windows: int) -> dict[str, list[list[float]]]:
        """Version -> scores for each of `files`."""
        asked = questions(QUESTIONS[windows], windows)
        return {version: answers(folder, asked) for version, folder in self._models.items()}


def run(work: Work) -> tuple[Seen, float]:
    """Let our own client do `work` on its core: what it saw, and its CPU time [s]."""
    before = children_seconds()
    done = subprocess.run(
        pinned(CLIENT_CORE, [sys.executable, "-m", "servers.load"]),
        cwd=BENCHMARKS, input=json.dumps(asdict(work)).encode(), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return Seen.from_json(json.loads(done.stdout)), children_seconds() - before


def check(server: Server, asked: Asked, windows: int) -> Seen:
    """Ask each request twice, one after the other."""
    files = asked.files(windows)
    phases = (Phase(60.0),)
    seen, _ = run(Work(server.port, files, asked.expected(windows), phases, connections=1, count=2 * len(files)))
    return seen


def closed(row: str, server: Server, asked: Asked, windows: int, *, clients: int, seconds: float) -> Reading:
    """So many clients, each asking as soon as it is answered: by wrk where that is installed, else by our own."""
    checked = check(server, asked, windows)
    ask = by_wrk if WRK else by_ourselves
    ask(server, asked, windows, clients, WARM_SECONDS)
    meter, before = Meter(server), children_seconds()
    found = ask(server, asked, windows, clients, seconds)
    used, foreign = meter.read(client_seconds=children_seconds() - before)
    found["failures"] += checked.failures
    found.setdefault("wrong", checked.wrong)
    return Reading(row, windows, clients, 0.0, cpu_seconds=used, foreign=foreign, **found)


def by_wrk(server: Server, asked: Asked, windows: int, clients: int, seconds: float) -> dict[str, float]:
    """Fields of a Reading. wrk looks at the status of every answer, not into it."""
    options = ["--threads", "1", "--connections", str(clients), "--timeout", "60s", "--script", str(SCRIPT)]
    # wrk takes whole seconds.
    address = [f"http://127.0.0.1:{server.port}/", "--duration", str(max(1, round(seconds)))]
    command = pinned(CLIENT_CORE, [str(WRK), *options, *address, "--", *asked.files(windows)])
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(said.partition("RESULT ")[2])
    return found


def by_ourselves(server: Server, asked: Asked, windows: int, clients: int, seconds: float) -> dict[str, float]:
    """Fields of a Reading. Every answer is looked into."""
    seen, _ = run(Work(server.port, asked.files(windows), asked.expected(windows), (Phase(seconds),), clients))
    return fields(seen, seconds)


def open_loop(row: str, server: Server, asked: Asked, windows: int, *, rate: float, seconds: float) -> Reading:
    """Requests that become due at `rate`, whatever the server does."""
    files, expected = asked.files(windows), asked.expected(windows)
    meter = Meter(server)
    phases = (Phase(WARM_SECONDS + seconds, rate),)
    seen, client = run(Work(server.port, files, expected, phases, OPEN_CONNECTIONS, warm=WARM_SECONDS))
    used, foreign = meter.read(client_seconds=client)
    used *= seconds / (WARM_SECONDS + seconds)
    return Reading(row, windows, 0, rate, cpu_seconds=used, foreign=foreign, **fields(seen, seconds))


def fields(seen: Seen, seconds: float) -> dict[str, float]:
    """Fields of a Reading."""
    latency = seen.latency if len(seen.latency) else np.array([np.nan])
    return {
        "answers": seen.statuses["200"],
        "seconds": seconds,
        "p50_ms": 1000 * float(np.percentile(latency, 50)),
        "p99_ms": 1000 * float(np.percentile(latency, 99)),
        "failures": seen.failures - seen.statuses["503"],
        "sent_away": seen.statuses["503"],
        "wrong": seen.wrong,
    }


def children_seconds() -> float:
    """CPU time of all programs that this one started and waited for [s]."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
