"""Dask as it is used here, whatever a person's own configuration of it says."""

import logging
from typing import Any

LOOPBACK = "127.0.0.1"
CLOSE_SECONDS = 30.0
QUIET = logging.CRITICAL + 1
"""Level of Dask's own log. What goes wrong becomes an error of ours, in one line."""

OURS: dict[str, Any] = {
    # A unit whose workers die so often, and once more, is given up.
    "distributed.scheduler.allowed-failures": 3,
    # What a worker holds stays in its memory: on disk it would be pickled. One that is full is ended.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # No pages, no metrics: what listens speaks TLS and nothing else.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    # A source that has read its rows already sends them to the workers.
    "distributed.admin.large-graph-warning-threshold": "1TiB",
    # The profile of the site alone says where jobs go.
    "jobqueue.slurm.account": None,
    "jobqueue.slurm.queue": None,
    "jobqueue.slurm.interface": None,
    "jobqueue.slurm.local-directory": None,
}


def exported() -> dict[str, str]:
    """The part that workers read, as environment variables for those that are jobs."""
    return {
        f"DASK_{key.upper().replace('-', '_').replace('.', '__')}": str(value)
        for key, value in OURS.items()
        if key.startswith(("distributed.worker.", "distributed.diagnostics."))
    }
