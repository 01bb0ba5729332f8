"""What only our server is put through: cold starts, an overload, swaps under load, and a hundred thousand requests."""

import http.client
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from servers import measure
from servers.measure import Asked
from servers.ours import Site
from servers.process import Server
from servers.work import Phase, Seen, Work

SWAP_RATE = 200.0
SECONDS_PER_SWAP = 1.0
OVERLOAD = 10
PATIENCE_SECONDS = 1.0
OVERLOAD_CONNECTIONS = 512
SLICE_SECONDS = 1.0
NORMAL_RATIO = 2.0
SAMPLE_SECONDS = 0.5


def cold_start(site: Site, *, times: int) -> tuple[float, float]:
    """Medians of the seconds from the start of the process to 200 on /readyz, and of its memory then [MiB]."""
    seconds, memory = [], []
    for _ in range(times):
        server = site.start()
        seconds.append(server.ready_seconds)
        memory.append(server.mebibytes())
        server.stop()
    return median(seconds), median(memory)


@dataclass(frozen=True)
class Overload:
    """What a multiple of its peak did to a server.

    peak, goodput: requests answered rightly and in time, in a second
    recovery_seconds: after the overload, until p99 was back at NORMAL_RATIO times what it was before; inf: it never was
    statuses: HTTP status -> answers, of the whole
    """

    peak: float
    goodput: float
    recovery_seconds: float
    wrong: int
    statuses: Mapping[str, int]


def overload(server: Server, asked: Asked, *, seconds: float, after: float) -> Overload:
    """OVERLOAD times what it can do for some seconds, and half of that before and after."""
    peak = measure.closed("peak", server, asked, 1, clients=64, seconds=seconds).per_second
    phases = (Phase(seconds, peak / 2), Phase(seconds, OVERLOAD * peak), Phase(after, peak / 2))
    seen, _ = measure.run(
        Work(
            server.port, asked.files(1), asked.expected(1), phases, OVERLOAD_CONNECTIONS, patience=PATIENCE_SECONDS
        )
    )  # fmt: skip
    begin, end = seconds, 2 * seconds
    finished = seen.due + seen.latency
    good = np.count_nonzero(seen.good.astype(bool) & (finished >= begin) & (finished < end))
    normal = median(percentiles_ms(seen, 0.0, begin))
    later = percentiles_ms(seen, end, end + after)
    return Overload(peak, good / seconds, recovery(later, NORMAL_RATIO * normal), seen.wrong, seen.statuses)


def percentiles_ms(seen: Seen, begin: float, end: float) -> list[float]:
    """p99 of what became due in each second of a span [ms]; inf where nothing was answered."""
    found = []
    for start in np.arange(begin, end - SLICE_SECONDS / 2, SLICE_SECONDS):
        within = (seen.due >= start) & (seen.due < start + SLICE_SECONDS)
        found.append(1000 * float(np.percentile(seen.latency[within], 99)) if within.any() else np.inf)
    return found


def recovery(slices: list[float], limit_ms: float) -> float:
    """Seconds until the p99 of a second, and the median of all later ones, is within the limit."""
    for place, value in enumerate(slices):
        if value <= limit_ms and median(slices[place:]) <= limit_ms:
            return place * SLICE_SECONDS
    return np.inf


def swaps_under_load(
    site: Site, server: Server, asked: Asked, versions: Sequence[Path], *, swaps: int, keep_alive: bool
) -> tuple[Seen, int]:
    """SWAP_RATE requests a second while the served version changes: what was seen, and the swaps done meanwhile.

    versions: folders of the versions; the first one serves already
    """
    work = Work(
        server.port,
        asked.files(1, keep_alive=keep_alive),
        asked.expected(1),
        (Phase(SECONDS_PER_SWAP * (swaps + 3), SWAP_RATE),),
        connections=64,
        keep_alive=keep_alive,
    )
    over, done = threading.Event(), []
    changer = threading.Thread(
        target=change, args=(site, server, versions), kwargs={"swaps": swaps, "over": over, "done": done}
    )
    changer.start()
    try:
        seen, _ = measure.run(work)
    finally:
        over.set()
        changer.join()
    return seen, len(done)


def change(
    site: Site, server: Server, versions: Sequence[Path], *, swaps: int, over: threading.Event, done: list[float]
) -> None:
    """Swap once in SECONDS_PER_SWAP until `over`, and note when."""
    for number in range(1, swaps + 1):
        if over.wait(SECONDS_PER_SWAP):
            return
        site.put(versions[number % len(versions)])
        if reload(server, site) == 200 and not over.is_set():
            done.append(time.monotonic())


def reload(server: Server, site: Site) -> int:
    """Tell the server to look for a new version; the HTTP status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", "/admin/reload", headers=site.headers)
        return connection.getresponse().status
    finally:
        connection.close()


def soak(server: Server, asked: Asked, *, requests: int) -> tuple[Seen, float]:
    """Many requests of 32 clients: what was seen, and what a straight line says they added to the memory [MiB].

    The first fifth does not count: buffers and pools are still growing to the size that they keep.
    """
    work = Work(server.port, asked.files(1), asked.expected(1), (Phase(600.0),), connections=32, count=requests)
    instants, memory, over = [], [], threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            instants.append(time.monotonic())
            memory.append(server.mebibytes())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        seen, _ = measure.run(work)
    finally:
        over.set()
        sampler.join()
    first = len(instants) // 5
    if len(instants) - first < 3:
        return seen, np.nan
    slope = np.polyfit(np.array(instants[first:]) - instants[0], memory[first:], 1)[0]
    return seen, float(slope * (instants[-1] - instants[0]))
