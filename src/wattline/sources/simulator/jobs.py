"""Which node does how much work when: batch jobs, queued and placed as on a shared cluster."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# After 84 job records of M100 ExaData: 4 of 5 jobs ask for one node, the median runs 22 minutes, the longest a day.
NODES_OF_A_JOB = (1, 2, 4, 8)
NODES_SHARES = (0.80, 0.07, 0.11, 0.02)
MEDIAN_SECONDS = 2_400.0
LOG_SPREAD = 1.6
LIMIT_SECONDS = 86_400.0
GPUS_OF_A_JOB = (0, 1, 2, 4)
GPUS_SHARES = (0.42, 0.22, 0.10, 0.26)
PATIENCE_SECONDS = 6 * 3_600.0
WARM_UP_SECONDS = 86_400.0


@dataclass(frozen=True)
class Work:
    """What nodes are asked to do, each (rows, nodes) in 0..1.

    cpu: share of hardware threads busy
    gpu0: utilization of GPU 0
    gpus: mean utilization of the four GPUs
    """

    cpu: Floats
    gpu0: Floats
    gpus: Floats


@dataclass(frozen=True)
class Job:
    """start, stop: [row], start may lie before the first one; period: of its phases [rows]; depth: of its pauses."""

    start: int
    stop: int
    nodes: NDArray[np.intp]
    cpu: float
    gpu: float
    gpus: int
    period: float
    depth: float


def work(
    random: np.random.Generator, *, rows: int, nodes: int, cadence_seconds: float, jobs_per_node_day: float
) -> Work:
    """Run a queue of random jobs on `nodes` for `rows` x `cadence_seconds`, beginning on a Monday at midnight."""
    cpu = 0.004 + 0.003 * random.random((rows, nodes))
    gpu0, gpus = np.zeros((rows, nodes)), np.zeros((rows, nodes))
    for job in _queue(random, rows=rows, nodes=nodes, cadence_seconds=cadence_seconds, rate=jobs_per_node_day):
        first, last = max(job.start, 0), min(job.stop, rows)
        if first >= last:
            continue
        span = (slice(first, last), job.nodes)
        wave = _wave(random, job, np.arange(first, last))[:, None]
        cpu[span] += job.cpu * wave * (1 + 0.03 * random.standard_normal(cpu[span].shape))
        busy = job.gpu * wave * (1 + 0.05 * random.standard_normal(cpu[span].shape)) if job.gpus else 0.0
        gpu0[span] += busy
        gpus[span] += np.multiply(busy, job.gpus / 4)
    return Work(np.clip(cpu, 0, 1), np.clip(gpu0, 0, 1), np.clip(gpus, 0, 1))


def _wave(random: np.random.Generator, job: Job, rows: NDArray[np.intp]) -> Floats:
    """Phases of one job: full work, and a pause at the end of every period (a checkpoint, an evaluation)."""
    phase = ((rows - job.start) / job.period + random.random()) % 1.0
    ramp = np.clip((rows - job.start + 1) / 3, 0, 1)
    return ramp * np.where(phase > 0.85, 1 - job.depth, 1.0)


def _queue(random: np.random.Generator, *, rows: int, nodes: int, cadence_seconds: float, rate: float) -> list[Job]:
    """First come, first served; a job takes whole nodes and leaves the queue when it would wait too long."""
    free_at = np.full(nodes, -WARM_UP_SECONDS)
    jobs = []
    for arrival in _arrivals(random, rows * cadence_seconds, per_second=rate * nodes / 86_400):
        seconds = min(MEDIAN_SECONDS * np.exp(LOG_SPREAD * random.standard_normal()), LIMIT_SECONDS)
        size = min(int(random.choice(NODES_OF_A_JOB, p=NODES_SHARES)), nodes)
        profile = _profile(random)
        # Ties go to a random node, or node 0 would do all the work.
        chosen = np.lexsort((random.random(nodes), np.maximum(free_at, arrival)))[:size]
        start = max(arrival, float(free_at[chosen].max()))
        if start - arrival > PATIENCE_SECONDS:
            continue
        free_at[chosen] = start + seconds
        period = random.uniform(600, 3_600) / cadence_seconds
        jobs.append(
            Job(
                round(start / cadence_seconds),
                round((start + seconds) / cadence_seconds),
                chosen,
                *profile,
                period,
                depth=random.uniform(0.1, 0.8),
            )
        )
    return jobs


def _arrivals(random: np.random.Generator, seconds: float, *, per_second: float) -> Floats:
    """Poisson arrivals, more by day and on weekdays [s]."""
    count = random.poisson(per_second * 1.5 * (seconds + WARM_UP_SECONDS))
    times = np.sort(random.uniform(-WARM_UP_SECONDS, seconds, count))
    day = np.floor(times / 86_400) % 7
    rate = 1 + 0.4 * np.sin(2 * np.pi * (times / 86_400 - 0.38)) - 0.25 * (day >= 5)
    return times[random.random(count) * 1.5 < rate]


def _profile(random: np.random.Generator) -> tuple[float, float, int]:
    """CPU share, GPU utilization, and GPUs of one job: GPU jobs keep few threads busy."""
    gpus = int(random.choice(GPUS_OF_A_JOB, p=GPUS_SHARES))
    if gpus:
        return random.uniform(0.01, 0.08), random.uniform(0.25, 0.98), gpus
    return 0.88 * random.beta(1.2, 1.6), 0.0, 0
