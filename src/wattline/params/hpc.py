"""What each stage needs where it runs as a job, and how a training gets over its time limit."""

from collections.abc import Mapping

from pydantic import Field

from wattline.params.section import Positive, Section


class ResourcesParams(Section):
    """What one stage asks of the scheduler. What is null is left to the site's profile.

    nodes: whole machines, or parts of them
    tasks_per_node: processes on each node; only `train` knows what to do with more than one
    cpus_per_task: CPUs of each process
    gpus_per_node: accelerators of each node; 0 asks for none
    memory_gib: memory of each node [GiB]
    minutes: time limit of one attempt [min]
    exclusive: whether no other job may run on its nodes; energy can be counted only then
    """

    nodes: int | None = Field(default=None, ge=1)
    tasks_per_node: int | None = Field(default=None, ge=1)
    cpus_per_task: int | None = Field(default=None, ge=1)
    gpus_per_node: int | None = Field(default=None, ge=0)
    memory_gib: Positive | None = None
    minutes: int | None = Field(default=None, ge=1)
    exclusive: bool | None = None


class HpcParams(Section):
    """Jobs of a scheduler.

    checkpoint_minutes: between two checkpoints of a training [min]
    notice_seconds: so long before its time limit a training is told to keep a checkpoint and to end [s]
    maximum_restarts: how often one job may begin again after its time limit, a preemption or a dead node
    peer_seconds: how long processes that train together wait for each other, to begin and at each step [s]
    poll_seconds: between two questions to the scheduler, while nothing else says that a job has ended [s]
    patience_seconds: how long a scheduler may be silent before its job is left to itself [s]
    stages: stage -> what it needs
    """

    checkpoint_minutes: Positive = 10.0
    notice_seconds: int = Field(default=120, ge=1)
    maximum_restarts: int = Field(default=20, ge=0)
    peer_seconds: Positive = 300.0
    poll_seconds: Positive = 5.0
    patience_seconds: Positive = 900.0
    stages: Mapping[str, ResourcesParams] = {}
