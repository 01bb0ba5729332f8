"""Dask's scheduler in this process, and its workers: processes beside it, or jobs."""

import asyncio
import logging
import multiprocessing
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
import distributed
from distributed.security import Security

from wattline.errors import InputError, WattlineError
from wattline.interruption import ended_by_sigterm
from wattline.sites import Profile
from wattline.workers import configuration
from wattline.workers.pool import Place, Pool, Watch

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 120.0
CLOSE_SECONDS = 30.0
QUIET = logging.CRITICAL + 1
"""What goes wrong becomes an error of ours, in one line."""


@contextmanager
def workers(site: str, profile: Profile, *, title: str) -> Iterator[Pool]:
    """Workers for as long as the block lasts. Raises InputError where the profile asks for jobs that cannot be."""
    if profile.dask.jobs and profile.scheduler != "slurm":
        raise InputError(
            f"deploy/sites/{site}.yaml: dask.jobs needs the scheduler slurm, not {profile.scheduler}; with "
            "dask.jobs: false workers are processes beside the stage"
        )
    with ended_by_sigterm(), _configured(), _cluster(site, profile, title) as (cluster, watch):
        client = distributed.Client(cluster, set_as_default=False)
        try:
            client.register_plugin(Place())
            yield Pool(client, watch, site, profile, title)
        finally:
            client.close()


@contextmanager
def _configured() -> Iterator[None]:
    """Dask as it is used here, and a folder for what it writes on this machine, which goes when it is done."""
    with tempfile.TemporaryDirectory(prefix="wattline-dask-") as folder, warnings.catch_warnings():
        # A machine that is busy for a second is no news.
        warnings.filterwarnings("ignore", message="Creating scratch directories")
        with dask.config.set(configuration.OURS | {"temporary-directory": folder}):
            yield


@contextmanager
def _cluster(site: str, profile: Profile, title: str) -> Iterator[tuple[Any, Watch]]:
    if profile.dask.jobs:
        with signals_kept():
            from wattline.workers import jobs

        with jobs.cluster(site, profile, title=title) as found:
            yield found
    else:
        with processes(profile, title=title) as found:
            yield found


@contextmanager
def signals_kept() -> Iterator[None]:
    """Undo what importing dask-jobqueue 0.9 does: SIGINT and SIGTERM would end this process as if all were well."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@contextmanager
def processes(profile: Profile, *, title: str) -> Iterator[tuple[Any, Watch]]:
    """Workers on this machine. Others who have an account here can reach the port: only our certificate opens it."""
    wanted = profile.dask
    try:
        cluster = distributed.LocalCluster(
            n_workers=wanted.workers,
            threads_per_worker=1,
            memory_limit=round(wanted.memory_gib * 2**30),
            host=LOOPBACK,
            protocol="tls",
            security=Security.temporary(),
            dashboard_address=f"{LOOPBACK}:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=QUIET,
        )
    except (RuntimeError, OSError) as error:
        raise WattlineError(f"{title}: workers did not start: {' '.join(str(error).split())}") from None
    try:
        yield cluster, Processes(cluster, title)
    finally:
        _close(cluster)


def _close(cluster: Any) -> None:
    """End every process, also one that Dask is just about to start again."""
    try:
        cluster.close(timeout=CLOSE_SECONDS)
    except (TimeoutError, RuntimeError, OSError, AssertionError):
        for process in multiprocessing.active_children():
            if process.name.startswith("Dask Worker"):
                process.kill()


@dataclass
class Processes:
    """Looks after processes. Dask starts one again that died; what it gives up is told."""

    cluster: Any
    title: str
    alone_since: float | None = None

    def look(self) -> None:
        """Raise WattlineError when there has been no worker for long."""
        now = time.monotonic()
        if self.cluster.scheduler.workers:
            self.alone_since = None
            return
        self.alone_since = self.alone_since or now
        if now - self.alone_since > PATIENCE_SECONDS:
            raise WattlineError(
                f"{self.title}: no worker has come up for {PATIENCE_SECONDS:g} s; look at memory and at the number of "
                "processes that this machine allows, or set dask.workers to 0"
            )

    def moved(self) -> None:
        self.alone_since = None


def call(cluster: Any, coroutine: Any) -> Any:
    """Run a coroutine in the thread of the cluster."""
    return asyncio.run_coroutine_threadsafe(coroutine, cluster.loop.asyncio_loop).result()
