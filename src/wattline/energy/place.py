"""Where this process stands in a job of several, by the word of torchrun or of Slurm."""

import hashlib
import secrets

from pydantic import Field

from wattline.energy.meters import MeterError
from wattline.errors import InputError
from wattline.records import Record
from wattline.settings import Settings, settings
from wattline.task import Processes


class Place(Record):
    """One process of one launch.

    launch: the same for all processes that were launched together, another one after a restart
    rank: place of the process among `ranks`
    node: place of its node among `nodes`
    """

    launch: str = Field(pattern=r"^[0-9a-f]{16}$")
    rank: int = Field(default=0, ge=0)
    ranks: int = Field(default=1, ge=1)
    node: int = Field(default=0, ge=0)
    nodes: int = Field(default=1, ge=1)


def here() -> Place:
    """The place of this process; alone it is a launch of its own.

    torchrun is asked before Slurm, as it is what runs inside: SLURM_PROCID counts its agents.
    Raises MeterError where the variables contradict each other.
    """
    said = settings()
    rank, ranks = (said.slurm_process, said.slurm_processes) if said.rank is None else (said.rank, said.world_size)
    node, nodes = (
        (said.slurm_node, said.slurm_nodes) if said.group_rank is None else (said.group_rank, said.group_world_size)
    )
    if rank >= ranks or node >= nodes:
        raise MeterError(
            f"the environment says that this is process {rank} of {ranks} on node {node} of {nodes}, counted from 0; "
            "correct or unset RANK and WORLD_SIZE, GROUP_RANK and GROUP_WORLD_SIZE, or their SLURM_ counterparts"
        )
    launch = _launch(said) if ranks > 1 else secrets.token_hex(8)
    return Place(launch=launch, rank=rank, ranks=ranks, node=node, nodes=nodes)


def together(place: Place) -> Processes:
    """The processes of the launch that `place` belongs to, and where they meet.

    Raises InputError where several were started and nobody told them where.
    """
    said = settings()
    if place.ranks == 1:
        return Processes()
    for name, value in {"MASTER_ADDR": said.master_address, "MASTER_PORT": said.master_port}.items():
        if not value:
            raise InputError(
                f"this is process {place.rank} of {place.ranks} that train together, and {name} is not set; start them "
                "with `wattline run train --site ...` or torchrun, or set it to the same for all: the host of the "
                "first one, and a free port there"
            )
    port = str(said.master_port)
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise InputError(f"MASTER_PORT is {port!r}; set it to a free port of the first process's host, e.g. 29500")
    host = f"[{said.master_address}]" if ":" in str(said.master_address) else said.master_address
    local_rank = said.slurm_local_process if said.local_rank is None else said.local_rank
    served = f"again-{said.torchelastic_restart_count}" if said.torchelastic_use_agent_store else ""
    return Processes(place.rank, place.ranks, local_rank, rendezvous=f"tcp://{host}:{port}", served=served)


def _launch(said: Settings) -> str:
    """Digest of what all processes of a launch know, and those of another one do not."""
    parts = [said.slurm_job_id, said.slurm_restart_count, said.master_port]
    if said.torchelastic_run_id:
        # Not the step: every node may start its agent in one of its own.
        parts += [said.torchelastic_run_id, said.torchelastic_restart_count]
    else:
        parts += [said.slurm_step_id]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
