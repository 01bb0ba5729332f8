"""Training by `project.gradient` with several processes beside torch's DistributedDataParallel, each with one thread.

Windows per second of wall time, in turns; efficiency is the rate of N processes over N times that of one. Both train
the same model on the same windows and batches, without validation and checkpoints. Ours ends in the same weights for
every world size, which is checked; DistributedDataParallel does not promise that.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
from clock import Figure, paired_ratio
from torch import Tensor, nn

from project import device as devices
from project import gradient
from project.forecasters import ConvolutionalForecaster
from project.options import ConvolutionOptions
from project.parallel import Group, together
from wattline.task import Due, Processes

MAXIMUM_COST = 1.25
"""Our CPU time to that of DistributedDataParallel, at each world size: the price of equal bits."""
PROGRAM = Path(__file__).resolve().parents[1] / "hpc.py"
ROUNDS = 5
SECONDS = 600.0
COLUMNS, HISTORY, SMOOTHING = 38, 40, 20
OPTIONS = ConvolutionOptions(
    channels=32, kernel=5, epochs=1, batch=128, learning_rate=0.001, patience=1, windows_per_epoch=2048, device="cpu",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Of one world size.

    rates: loop -> windows per second
    cost: our CPU time to the peer's, median over rounds
    checksum: of the weights that ours ends in
    """

    rates: Mapping[str, float]
    cost: float
    checksum: int


def figures(worlds: Sequence[int]) -> Iterator[Figure]:
    """Print rates and efficiencies; give the cost, and whether the weights are the same."""
    found = {count: launch(count, shards=max(worlds)) for count in worlds}
    for name, label in (("ours", "project.gradient"), ("peer", "DistributedDataParallel")):
        one = found[worlds[0]].rates[name] / worlds[0]
        for count, measured in found.items():
            rate = measured.rates[name]
            print(f"      {label:<24}{count} processes {rate:>8.0f} windows/s, efficiency {rate / count / one:.2f}")
    yield Figure("different weights of all world sizes", len({one.checksum for one in found.values()}), 1)
    for count, measured in found.items():
        yield Figure(f"CPU time of ours / peer, {count} processes", measured.cost, MAXIMUM_COST)


def launch(count: int, *, shards: int) -> Measured:
    """Both loops with `count` processes, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {**os.environ, "WORLD_SIZE": str(count), "MASTER_PORT": str(port)}
    command = [sys.executable, PROGRAM, "--worker", str(shards)]
    begun = [
        subprocess.Popen(command, env=told | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(count)
    ]
    try:
        outputs = [process.communicate(timeout=SECONDS)[0] for process in begun]
        if any(process.returncode for process in begun):
            raise SystemExit(f"{count} processes did not get through")
    finally:
        for process in begun:
            process.kill()
            process.wait()
    return Measured(**json.loads(outputs[0].splitlines()[-1]))


def work(shards: int) -> None:
    """One of the processes: both loops in turns. The first one prints what was measured."""
    options = OPTIONS.model_copy(update={"shards": shards})
    torch.set_num_threads(1)
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    windows = torch.randn(options.windows_per_epoch, HISTORY + SMOOTHING, COLUMNS, generator=seeded())
    processes = Processes(rank, count, rank, f"tcp://127.0.0.1:{os.environ['MASTER_PORT']}")
    with together(processes, options, devices.CPU) as group:
        if count == 1:  # the peer wants a group even then
            dist.init_process_group(
                "gloo", store=dist.HashStore(), rank=0, world_size=1, timeout=timedelta(seconds=SECONDS)
            )
        seconds: dict[str, list[float]] = {"ours": [], "peer": []}
        spent: dict[str, list[float]] = {"ours": [], "peer": []}
        for turn in range(ROUNDS + 1):
            mine, peer = model(), nn.parallel.DistributedDataParallel(model())
            for name in list(seconds)[:: 1 if turn % 2 else -1]:
                dist.barrier()
                begin, used = time.perf_counter(), time.process_time()
                ours(mine, windows, group, options) if name == "ours" else theirs(peer, windows, rank, count)
                dist.barrier()
                seconds[name].append(time.perf_counter() - begin)
                spent[name].append(time.process_time() - used)
        if count == 1:
            dist.destroy_process_group()
    if rank == 0:
        # The first step of an optimizer imports for seconds.
        rates = {name: options.windows_per_epoch / median(turns[1:]) for name, turns in seconds.items()}
        # Rates are this machine's of now; what else it does is not in CPU time.
        cost = paired_ratio(spent["ours"][1:], spent["peer"][1:])
        print(json.dumps({"rates": rates, "cost": cost, "checksum": gradient.checksum(mine)}))


def ours(network: nn.Module, windows: Tensor, group: Group, options: ConvolutionOptions) -> None:
    """One epoch by the project's step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    descent = gradient.Descent(network, optimizer, devices.scaler(devices.CPU, options), options, group)
    samples = gradient.Samples(lambda _, places: windows[places], lambda places: windows[places], 0)
    for start in range(0, len(windows), options.batch):
        gradient.step(descent, samples, 0, slice(start, start + options.batch), due=Due.NO)


def theirs(network: nn.Module, windows: Tensor, rank: int, count: int) -> None:
    """One epoch as torch's documentation has it, on this process's share of each batch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=OPTIONS.learning_rate)
    for batch in torch.split(windows, OPTIONS.batch):
        optimizer.zero_grad(set_to_none=True)
        network(batch.chunk(count)[rank], None).square().mean().backward()
        optimizer.step()


def model() -> nn.Module:
    """The convolutional forecaster at the size of the example, with the same weights in every process."""
    torch.manual_seed(7)
    return ConvolutionalForecaster(COLUMNS, channels=OPTIONS.channels, kernel=OPTIONS.kernel, history=HISTORY)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)
