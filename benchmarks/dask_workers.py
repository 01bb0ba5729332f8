"""What do workers bring? `prepare` on simulated rows: in its own process, and with two workers beside it.

python benchmarks/dask_workers.py [--nodes 64] [--days 10]

Printed: seconds with and without the start of the workers, and the peak memory of all processes together. Starting two
workers costs seconds, so they pay only where the units do.
"""

import argparse
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from clock import Figure, conclude

from wattline import files, params, workers
from wattline.params import IngestParams
from wattline.settings import enforce, settings
from wattline.stages import ingest, prepare

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.05
WORKERS = 2
PROFILE = "description: this machine\nscheduler: local\ndask: {{workers: {count}, memory_gib: 2}}\n"


def main() -> int:
    """Print every figure beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--days", type=float, default=10.0)
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="wattline-") as folder, contextlib.chdir(folder):
        simulator = {"nodes": arguments.nodes, "days": arguments.days}
        ingest.run(ingest=IngestParams(source="simulator", options={"simulator": simulator}), seed=7)
        figures = {count: measured(count) for count in (0, WORKERS)}
        return report(figures)


def measured(count: int) -> tuple[float, float, str]:
    """Seconds and peak memory [GiB] of `prepare` with so many workers, and the digest of what it wrote."""
    for site in ("local", f"workers-{count}"):
        files.write_text(Path(f"deploy/sites/{site}.yaml"), PROFILE.format(count=0 if site == "local" else count))
    enforce({"WATTLINE_SITE": f"workers-{count}"})
    settings.cache_clear()
    loaded = params.load(ROOT / "params.yaml")
    with contextlib.chdir(ROOT):
        task = params.load_task(loaded.task)
    with peak_memory() as peak:
        begin = time.perf_counter()
        prepare.run(prepare=loaded.block.prepare, task=task)
        seconds = time.perf_counter() - begin
    return seconds, max(peak), files.directory_digest(files.PREPARED)


def start() -> float:
    """Seconds until workers are up and have imported what the stage needs."""
    begin = time.perf_counter()
    with workers.each(abs, [("none", 0)], title="start") as results:
        list(results)
    return time.perf_counter() - begin


@contextlib.contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Resident memory of this process and its children, sampled [GiB]."""
    samples, ended = [0.0], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            total = 0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            samples.append(total / 2**30)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def report(figures: dict[int, tuple[float, float, str]]) -> int:
    """Seconds and memory of both; what must hold is that the bytes are the same."""
    (alone, memory, digest), (parallel, shared, other) = figures[0], figures[WORKERS]
    print(f"prepare, own process   {alone:7.2f} s  {memory:6.2f} GiB")
    print(f"prepare, {WORKERS} workers     {parallel:7.2f} s  {shared:6.2f} GiB, the start of workers included")
    print(f"start and end of {WORKERS} workers {start():5.2f} s; {os.cpu_count()} CPUs")
    print(f"speed-up               {alone / parallel:7.2f}")
    return conclude([Figure("outputs that differ", float(digest != other), 0.0)])


if __name__ == "__main__":
    sys.exit(main())
