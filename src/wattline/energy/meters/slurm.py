"""Slurm: the energy that it counts for the job step that this process is part of, while it runs (`sstat`)."""

import time

from wattline.energy.meters.accounting import figure, joules_of
from wattline.energy.meters.allocation import check_exclusive, energy_plugin, names_of, nodes_of, slurm
from wattline.energy.meters.meter import MeterError
from wattline.records import Energy
from wattline.settings import Settings

STEPS = {"4294967290": "interactive", "4294967291": "batch", "4294967292": "extern"}
"""How Slurm numbers the steps that have a name (slurm.h)."""
READINGS_FOR_ONE_PERCENT = 200
"""The readings at both ends may each be one period of the sensor old: together 1 % of so many periods."""


class Slurm:
    """What Slurm counts for the step that this process belongs to, between two calls of `sstat`.

    The count is that of the whole step, all its nodes included. Hence only the first process of a step may ask: if
    every process did, the energy would be counted as often as there are processes.

    Raises MeterError outside of a job, on a shared node, where Slurm has no energy sensor, and in the batch script of a
    job of several nodes, of which it sees only the first.
    """

    name = "slurm"

    def __init__(self, settings: Settings) -> None:
        job, step = settings.slurm_job_id, settings.slurm_step_id or "batch"
        if job is None:
            raise MeterError("this is no job of Slurm's (SLURM_JOB_ID is not set); submit it with sbatch --exclusive")
        if settings.slurm_process > 0:
            raise MeterError(
                f"this is process {settings.slurm_process} of a step, whose energy is one count for all its nodes; "
                "read it in process 0"
            )
        self._step = f"{job}.{STEPS.get(step, step)}"
        check_exclusive(job)
        self._plugin, self._period = energy_plugin()
        self.minimum_seconds = READINGS_FOR_ONE_PERCENT * self._period
        _, nodes = self._count()
        if self._step.endswith(".batch") and len(nodes_of(job)) > len(nodes):
            raise MeterError(
                f"the batch script of job {job} sees the energy of {', '.join(nodes)} and not of its other nodes; "
                "start this with srun"
            )
        self._start: tuple[float, int] | None = None

    def start(self) -> None:
        joules, _ = self._count()
        self._start = (time.monotonic(), joules)

    def stop(self) -> Energy:
        if self._start is None:
            raise MeterError("the meter slurm was stopped without having been started; call start() first")
        (began, before), self._start = self._start, None
        seconds = time.monotonic() - began
        after, nodes = self._count()
        if after < before:
            raise MeterError(
                f"Slurm's count for step {self._step} fell from {before} to {after} J; was a node restarted?"
            )
        if after == before and seconds >= 2 * self._period:
            raise MeterError(f"Slurm's count for step {self._step} stands still at {after} J; its sensor is stuck")
        source = f"sstat:{self._step}"
        return figure(after - before, seconds, nodes, period=self._period, plugin=self._plugin, source=source)

    def _count(self) -> tuple[int, tuple[str, ...]]:
        """Joules since the step began, and its nodes."""
        rows = slurm("sstat", "-n", "-P", "-j", self._step, "-o", "ConsumedEnergyRaw,Nodelist").splitlines()
        if len(rows) != 1 or rows[0].count("|") != 1:
            # sstat says nothing at all as soon as the step has ended on one of its nodes.
            raise MeterError(
                f"sstat has no figure for step {self._step}; "
                "it has ended on one of its nodes, or JobAcctGatherType is none"
            )
        count, nodes = rows[0].split("|")
        return joules_of(count, self._step), names_of(nodes)
