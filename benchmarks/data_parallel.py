"""What does a second process bring? Training by `project.gradient` beside torch's DistributedDataParallel.

python benchmarks/data_parallel.py                 world sizes 1 and 2, each process with one thread
python benchmarks/data_parallel.py --worlds 1 2 4

Windows per second of wall time, in turns; efficiency is the rate of N processes over N times that of one. Both train the
same model on the same windows and batches, without validation and checkpoints. Ours ends in the same weights for every
world size, which is checked; DistributedDataParallel does not promise that.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import median

import torch
import torch.distributed as dist
from clock import Figure, conclude
from torch import Tensor, nn

from project import device as devices
from project import gradient
from project.forecasters import ConvolutionalForecaster
from project.options import ConvolutionOptions
from project.parallel import together
from wattline.task import Due, Processes

MINIMUM_RATIO = 0.8
"""Of our rate to that of DistributedDataParallel, at each world size: the price of equal bits."""
ROUNDS = 5
SECONDS = 600.0
COLUMNS, HISTORY, SMOOTHING = 38, 40, 20
OPTIONS = ConvolutionOptions(
    channels=32, kernel=5, epochs=1, batch=128, learning_rate=0.001, patience=1, windows_per_epoch=2048, shards=4,
    device="cpu",
)  # fmt: skip

Rates = Mapping[str, float]


def main(worlds: Sequence[int]) -> int:
    """Print rates and efficiencies, and the ratio to the peer beside its limit."""
    found = {count: launch(count) for count in worlds}
    for name in ("ours", "peer"):
        for count, (rates, _) in found.items():
            efficiency = rates[name] / count / found[worlds[0]][0][name] * worlds[0]
            label = "project.gradient" if name == "ours" else "DistributedDataParallel"
            print(f"      {label:<24}{count} processes {rates[name]:>8.0f} windows/s, efficiency {efficiency:.2f}")
    same = len({checksum for _, checksum in found.values()}) == 1
    print(f"{'PASS' if same else 'FAIL'}  project.gradient ends in the same weights for {list(worlds)} processes")
    figures = [
        Figure(
            f"windows/s of ours / peer, {count} processes", rates["ours"] / rates["peer"], MINIMUM_RATIO, at_least=True
        )
        for count, (rates, _) in found.items()
    ]
    return max(conclude(figures), 0 if same else 1)


def launch(count: int) -> tuple[Rates, int]:
    """Windows per second of each loop with `count` processes, and a checksum of the weights that ours ends in."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {**os.environ, "WORLD_SIZE": str(count), "MASTER_PORT": str(port)}
    begun = [
        subprocess.Popen(
            [sys.executable, __file__, "--worker"], env=told | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
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
    rates, checksum = json.loads(outputs[0].splitlines()[-1])
    return rates, checksum


def work() -> None:
    """One of the processes: both loops in turns. The first one prints the rates."""
    torch.set_num_threads(1)
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    windows = torch.randn(OPTIONS.windows_per_epoch, HISTORY + SMOOTHING, COLUMNS, generator=seeded())
    # Alone, too, the peer wants a group: torch's own, which ours makes where there are several.
    processes = Processes(rank, count, rank, f"tcp://127.0.0.1:{os.environ['MASTER_PORT']}")
    with together(processes, OPTIONS, devices.CPU) as group:
        if count == 1:
            dist.init_process_group(
                "gloo", store=dist.HashStore(), rank=0, world_size=1, timeout=timedelta(seconds=SECONDS)
            )
        seconds: dict[str, list[float]] = {"ours": [], "peer": []}
        for turn in range(ROUNDS + 1):
            mine, peer = model(), nn.parallel.DistributedDataParallel(model())
            for name in list(seconds)[:: 1 if turn % 2 else -1]:
                dist.barrier()
                begin = time.perf_counter()
                ours(mine, windows, group) if name == "ours" else theirs(peer, windows, rank, count)
                dist.barrier()
                seconds[name].append(time.perf_counter() - begin)
        if count == 1:
            dist.destroy_process_group()
    # The first step of an optimizer imports for seconds.
    rates = {name: OPTIONS.windows_per_epoch / median(spent[1:]) for name, spent in seconds.items()}
    if rank == 0:
        print(json.dumps([rates, gradient.checksum(mine)]))


def ours(network: nn.Module, windows: Tensor, group: gradient.Group) -> None:
    """One epoch by the project's step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=OPTIONS.learning_rate)
    descent = gradient.Descent(network, optimizer, devices.scaler(devices.CPU, OPTIONS), OPTIONS, group)
    samples = gradient.Samples(lambda _, places: windows[places], lambda places: windows[places], 0)
    for start in range(0, len(windows), OPTIONS.batch):
        gradient.step(descent, samples, 0, slice(start, start + OPTIONS.batch), due=Due.NO)


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--worlds", type=int, nargs="+", default=[1, 2], help="numbers of processes, each a divisor of 4"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        work()
        sys.exit()
    sys.exit(main(chosen.worlds))
