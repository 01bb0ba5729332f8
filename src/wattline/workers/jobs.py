"""Workers as jobs of Slurm, by dask-jobqueue: ordered again when one ends early, cancelled when the work is done."""

import asyncio
import logging
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dask_jobqueue import SLURMCluster
from dask_jobqueue.slurm import SLURMJob
from distributed.security import Security

import wattline
from wattline.errors import InputError, WattlineError
from wattline.settings import settings
from wattline.sites import Profile, prologue
from wattline.sites.environments import Wrapping, with_sources
from wattline.workers import configuration
from wattline.workers.configuration import CLOSE_SECONDS, LOOPBACK, QUIET
from wattline.workers.pool import Watch

ENDED_EARLY = 3
"""So many jobs for each worker may end without a result between; then something is wrong with all of them."""

SECONDS_TO_CANCEL = 30.0

OF_THE_NODE = (
    'private=$(mktemp --directory --tmpdir=/tmp) || give_up "no temporary files can be written on this node"',
    'export TMPDIR="$private"',
)


@contextmanager
def cluster(site: str, profile: Profile, *, title: str) -> Iterator[tuple[Any, Watch]]:
    """Jobs of workers, which wait in the queue when the block begins. Raises InputError for what Slurm refuses."""
    if shutil.which("sbatch") is None:
        raise InputError(f"deploy/sites/{site}.yaml: dask.jobs needs sbatch, which is not on PATH; log in to the site")
    name = f"wattline-{title}-workers-{secrets.token_hex(4)}"
    folder = _folder(name)
    found = _cluster(profile, name=name, folder=folder)
    kept = False
    try:
        watch = Jobs(found, site, profile, title=title, name=name, folder=folder)
        watch.order()
        yield found, watch
    except Exception:
        kept = True  # the logs may say why
        raise
    finally:
        _close(found, name)
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _folder(name: str) -> Path:
    """For logs and the certificate of the workers; only we may read it."""
    folder = settings().state.resolve() / "workers" / name
    if shlex.quote(str(folder)) != str(folder):
        raise InputError(f"{folder} has a character that dask-jobqueue cannot quote; set WATTLINE_STATE to another one")
    folder.mkdir(parents=True, mode=0o700)
    return folder


def _cluster(profile: Profile, *, name: str, folder: Path) -> Any:
    wanted = profile.dask
    qos = [f"--qos={profile.qos}"] if profile.qos else []
    python = prologue.environment(profile, Path.cwd(), ["python3"])
    return SLURMCluster(
        job_cls=WorkerJob,
        queue=profile.partition or None,
        account=profile.account or None,
        cores=1,
        processes=1,
        job_cpu=wanted.cores,
        memory=f"{wanted.memory_gib}GiB",
        walltime=f"{wanted.minutes // 60:02d}:{wanted.minutes % 60:02d}:00",
        job_name=name,
        # Slurm keeps the environment of a job on its disk: nothing of ours goes there but what the script says.
        job_extra_directives=["--export=NIL", "--no-requeue", *qos, *profile.flags],
        job_script_prologue=_before(profile, python),
        shebang="#!/bin/bash -l",
        python=python.command,
        worker_extra_args=["--no-dashboard", "--dashboard-address", f"{LOOPBACK}:0"],
        local_directory='"$TMPDIR"',
        log_directory=str(folder),
        interface=wanted.interface or None,
        security=Security.temporary(),
        shared_temp_directory=str(folder),
        scheduler_options={"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
        silence_logs=QUIET,
    )


def _before(profile: Profile, python: Wrapping) -> list[str]:
    """Lines of the script of a worker, which end the job by a sentence where something is missing."""
    return [
        "set -u",
        *prologue.GIVE_UP,
        *prologue.modules(profile),
        *prologue.variables(profile, Path.cwd(), profile.dask.cores, further=configuration.exported()),
        *_sources(),
        *(prologue.scratch(profile, "$SLURM_JOB_ID") if profile.scratch else OF_THE_NODE),
        "trap 'rm -rf \"$private\"' EXIT",
        *python.lines,
    ]


def _sources() -> list[str]:
    """Where Wattline is imported from, if that is the project itself and not an installation."""
    folder = Path(wattline.__file__).parents[1]
    return [f"export PYTHONPATH={with_sources(folder)}"] if folder.is_relative_to(Path.cwd()) else []


class WorkerJob(SLURMJob):  # type: ignore[misc]
    """The job of one worker.

    refused: by cluster, what sbatch said
    """

    refused: str = ""

    async def _submit_job(self, script_filename: str) -> str:
        try:
            return str(await super()._submit_job(script_filename))
        except (RuntimeError, OSError) as error:
            type(self).refused = _last_words(str(error))
            raise


def _last_words(text: str) -> str:
    """What a program that failed said on its standard error, in one line."""
    said = text.partition("stderr:\n")[2] or text
    return " ".join(said.split()) or "nothing"


@dataclass
class Jobs:
    """Looks after the jobs of workers.

    ended: jobs that ended early since the last result
    told: whether a person knows that jobs wait
    """

    cluster: Any
    site: str
    profile: Profile
    title: str
    name: str
    folder: Path
    ended: int = 0
    alone_since: float = field(default_factory=time.monotonic)
    told: bool = False

    def order(self) -> None:
        """Submit the jobs that are missing. Raises InputError with what Slurm says against it."""
        WorkerJob.refused = ""
        with suppress(RuntimeError, OSError):
            _call(self.cluster, self._order())
        if WorkerJob.refused:
            raise InputError(
                f"{self.title}: Slurm takes no worker: {WorkerJob.refused}; correct account, partition, qos, flags or "
                f"dask in deploy/sites/{self.site}.yaml"
            )

    async def _order(self) -> None:
        spec = self.cluster.worker_spec
        while len(spec) < self.profile.dask.workers:
            spec.update(self.cluster.new_worker_spec())
        await self.cluster._correct_state()

    def look(self) -> None:
        """Order anew what ended early. Raises WattlineError where that goes on and on, or nothing ever starts."""
        present = _queued(self.name)
        if present is None:
            return  # its controller is silent for a moment; the workers do not need it
        gone = [worker for worker, job in dict(self.cluster.workers).items() if job.job_id not in present]
        if gone:
            self.ended += len(gone)
            if self.ended > ENDED_EARLY * self.profile.dask.workers:
                raise WattlineError(
                    f"{self.title}: {self.ended} jobs of workers ended before they gave a result; their logs are in "
                    f"{self.folder}; look for a wrong environment, too little dask.memory_gib, or a network that "
                    f"dask.interface in deploy/sites/{self.site}.yaml does not name"
                )
            _call(self.cluster, self._forget(gone))
            self.order()
        self._wait()

    async def _forget(self, workers: list[str]) -> None:
        for worker in workers:
            self.cluster.workers.pop(worker, None)

    def _wait(self) -> None:
        if self.cluster.scheduler.workers:
            self.alone_since = time.monotonic()
            return
        minutes = (time.monotonic() - self.alone_since) / 60
        if minutes > self.profile.dask.wait_minutes:
            raise WattlineError(
                f"{self.title}: no worker has started for {minutes:.0f} min (job name {self.name}); raise "
                f"dask.wait_minutes in deploy/sites/{self.site}.yaml, or ask for fewer and smaller workers there"
            )
        if not self.told:
            self.told = True
            logging.getLogger("wattline").warning("%s: workers wait in the queue as %s", self.title, self.name)

    def moved(self) -> None:
        self.ended = 0
        self.alone_since = time.monotonic()


def _queued(name: str) -> set[str] | None:
    """Numbers of the jobs of that name that wait or run; None where the controller does not answer."""
    command = [
        "squeue",
        "--noheader",
        "--format=%i",
        f"--name={name}",
        "--states=PENDING,RUNNING,CONFIGURING,SUSPENDED",
    ]
    done = _run(command)
    return None if done is None or done.returncode else set(done.stdout.split())


def _run(command: list[str]) -> "subprocess.CompletedProcess[str] | None":
    with suppress(subprocess.TimeoutExpired, OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_TO_CANCEL)
    return None


def _close(cluster: Any, name: str) -> None:
    """Cancel every job, also one that sbatch had not yet told us of."""
    with suppress(Exception):
        cluster.close(timeout=CLOSE_SECONDS)
    _run(["scancel", "--quiet", f"--name={name}"])
    deadline = time.monotonic() + SECONDS_TO_CANCEL
    while _queued(name) and time.monotonic() < deadline:
        time.sleep(0.2)


def _call(cluster: Any, coroutine: Any) -> Any:
    """Run a coroutine in the thread of the cluster."""
    return asyncio.run_coroutine_threadsafe(coroutine, cluster.loop.asyncio_loop).result()
