"""Dask's scheduler in this process, and its workers: processes beside it, or jobs."""

import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import distributed

from wattline.errors import InputError
from wattline.interruption import ended_by_sigterm
from wattline.sites import Profile
from wattline.workers import configuration, processes
from wattline.workers.pool import Place, Pool, Watch


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
        with processes.cluster(profile, title=title) as found:
            yield found


@contextmanager
def signals_kept() -> Iterator[None]:
    """Undo what importing dask-jobqueue 0.9 does: SIGINT and SIGTERM would end this process as if all were well."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
