"""Sums over the processes that train one model: the same bits however many there are, and wherever they run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from project.options import ConvolutionOptions
from project.rendezvous import Peers, meet
from wattline.task import Due, InputError, Processes


def tree(parts: Sequence[Tensor]) -> Tensor:
    """Sum of a power of two of parts, neighbours first.

    Sums of floats depend on their order. Here every process can finish a part of the tree, and the order is the same.
    """
    while len(parts) > 1:
        parts = [left + right for left, right in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


class Group:
    """The processes of one training, as each of them sees it; one that is alone asks nobody."""

    def __init__(self, processes: Processes, device: torch.device, peers: Peers | None = None) -> None:
        self.rank, self.count = processes.rank, processes.count
        self.device = device
        self._peers = peers

    def own(self, parts: int) -> range:
        """Places of this process's parts: neighbours, as many as every other process has, the last one perhaps less."""
        each = -(-parts // self.count)
        return range(min(self.rank * each, parts), min((self.rank + 1) * each, parts))

    def gather(self, own: Tensor) -> Tensor:
        """What all processes gave, (count, *own.shape). Raises WattlineError naming a process that was lost."""
        if self._peers is None:
            return own.unsqueeze(0)
        everybodys = torch.empty((self.count, *own.shape), dtype=own.dtype, device=own.device)
        try:
            dist.all_gather(list(everybodys), own)
        except RuntimeError as error:
            raise self._peers.lost(error) from None
        return everybodys

    def total(self, shards: Sequence[Tensor], due: Due) -> tuple[Tensor, Due]:
        """Sum of all shards of all processes, and the largest answer of any.

        shards: of this process, each (length,) float32
        """
        if self._peers is None:
            return tree(shards), due
        answer = torch.tensor([float(due)], device=self.device)
        everybodys = self.gather(torch.cat([tree(shards), answer]))
        return tree(list(everybodys[:, :-1])), Due(int(everybodys[:, -1].max()))


@contextmanager
def together(processes: Processes, options: ConvolutionOptions, device: torch.device) -> Iterator[Group]:
    """The group of these processes, connected. Raises InputError where a batch cannot be shared by so many."""
    if options.batch < options.shards:
        raise InputError(
            f"params.yaml: train.convolution.batch must be >= train.convolution.shards, {options.shards}, "
            f"got {options.batch}"
        )
    if options.shards % processes.count:
        possible = ", ".join(str(1 << power) for power in range(options.shards.bit_length()))
        raise InputError(
            f"params.yaml: train.convolution.shards is {options.shards}, and {processes.count} processes cannot share "
            f"them evenly; start {possible} of them (hpc.stages.train: nodes x tasks_per_node), or raise shards, which "
            "gives other weights"
        )
    if processes.count == 1:
        yield Group(processes, device)
        return
    with meet(processes, device) as peers:
        yield Group(processes, device, peers)
