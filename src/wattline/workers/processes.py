"""Workers as processes of this machine, by Dask: started again when one dies, ended with the work."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import distributed
from distributed.security import Security

from wattline.errors import WattlineError
from wattline.sites import Profile
from wattline.workers.configuration import CLOSE_SECONDS, LOOPBACK, QUIET
from wattline.workers.pool import Watch

PATIENCE_SECONDS = 120.0


@contextmanager
def cluster(profile: Profile, *, title: str) -> Iterator[tuple[Any, Watch]]:
    """Workers on this machine. Others who have an account here can reach the port: only our certificate opens it."""
    wanted = profile.dask
    try:
        found = distributed.LocalCluster(
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
        yield found, Processes(found, title)
    finally:
        _close(found)


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
