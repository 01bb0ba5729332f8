"""How good the energy counter of a GPU is: its steps, its refresh, its lag, its repeatability, and power beside it.

On a machine with an NVIDIA GPU and PyTorch with CUDA, about two minutes:
PYTHONPATH=src python benchmarks/gpu/meter.py
"""

import itertools
import statistics
import time
from collections.abc import Callable

import pynvml
import torch

from wattline.energy.meters.nvml import Nvml
from wattline.records import Energy

SIZE = 8192
WINDOWS = (0.2, 1.0, 5.0, 10.0)
REPEATS = 5


def main() -> None:
    counter, integral = Nvml(), Nvml(integrate=True)
    factor = torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)

    def work(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(10):
                factor @ factor
            torch.cuda.synchronize()

    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    print(
        f"{pynvml.nvmlDeviceGetName(handle)}, driver {pynvml.nvmlSystemGetDriverVersion()}, torch {torch.__version__}"
    )
    work(2.0)
    time.sleep(3.0)
    idle = reading(counter, lambda: time.sleep(5.0))
    steps("idle", handle)
    loaded = reading(counter, lambda: work(5.0))
    print(f"idle {watts(idle):.1f} W, bf16 matmul of {SIZE} x {SIZE} {watts(loaded):.1f} W")
    tail(handle, work)
    agreement(counter, integral, work)
    repeatability(counter, lambda: work(5.0), "for 5 s")
    products = fixed_work(factor)
    repeatability(counter, products, "the same products, about 5 s")
    print(f"meter: refresh {counter.refresh_seconds * 1e3:.1f} ms, shortest activity {counter.minimum_seconds:.2f} s")


def reading(meter: Nvml, activity: Callable[[], None]) -> Energy:
    meter.start()
    activity()
    return meter.stop()


def watts(energy: Energy) -> float:
    return energy.joules / energy.seconds


def steps(state: str, handle: object) -> None:
    """Sizes and distances of the counter's steps in 3 s of polling as fast as it answers."""
    moments, sizes, reads = [], [], 0
    last = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    begin = time.monotonic()
    while time.monotonic() - begin < 3.0:
        now, reads = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle), reads + 1
        if now != last:
            moments.append(time.monotonic())
            sizes.append(now - last)
            last = now
    gaps = sorted((later - earlier) * 1e3 for earlier, later in itertools.pairwise(moments))
    print(f"counter, {state}: {len(sizes)} steps in 3 s, one reading takes {3e6 / reads:.0f} us")
    print(
        f"  refresh: median {statistics.median(gaps):.1f} ms, 5 % {gaps[len(gaps) // 20]:.1f} ms, "
        f"95 % {gaps[-1 - len(gaps) // 20]:.1f} ms, longest {gaps[-1]:.1f} ms"
    )
    print(
        f"  step: smallest {min(sizes)} mJ, median {statistics.median(sizes):g} mJ, {len(set(sizes))} different sizes"
    )


def tail(handle: object, work: Callable[[float], None]) -> None:
    """Power by the counter after a load ended: what it shows late is its lag."""
    work(3.0)
    begin, last = time.monotonic(), pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    shown = []
    for place in range(1, 11):
        time.sleep(max(0.0, begin + place * 0.1 - time.monotonic()))
        now = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        shown.append(f"{(now - last) / 100:.0f}")
        last = now
    print(f"W by the counter in each 100 ms after a load ended: {', '.join(shown)}")


def agreement(counter: Nvml, integral: Nvml, work: Callable[[float], None]) -> None:
    print("window  counter    integrated power, and its own interval")
    for seconds in WINDOWS:
        time.sleep(2.0)
        integral.start()
        counted = reading(counter, lambda seconds=seconds: work(seconds))  # type: ignore[misc]
        integrated = integral.stop()
        low, high = (joules / integrated.seconds for joules in integrated.interval)
        print(
            f"{seconds:5.1f} s  {watts(counted):6.1f} W  {watts(integrated):6.1f} W, "
            f"{watts(integrated) / watts(counted) - 1:+.1%}  [{low:.0f}, {high:.0f}] W"
        )


def fixed_work(factor: torch.Tensor) -> Callable[[], None]:
    """As many products as fit into about 5 s, queued without waiting: the meter waits for them."""
    begin = time.monotonic()
    for _ in range(200):
        factor @ factor
    torch.cuda.synchronize()
    count = int(200 * 5.0 / (time.monotonic() - begin))

    def work() -> None:
        for _ in range(count):
            factor @ factor

    return work


def repeatability(meter: Nvml, work: Callable[[], None], what: str) -> None:
    spent = []
    for _ in range(REPEATS):
        time.sleep(1.0)
        spent.append(reading(meter, work))
    joules = [energy.joules for energy in spent]
    drawn = [watts(energy) for energy in spent]
    mean = statistics.mean(joules)
    print(f"{REPEATS} loads, {what}: {mean:.0f} J, CV of energy {cv(joules):.2%}, of power {cv(drawn):.2%}")


def cv(values: list[float]) -> float:
    """Coefficient of variation."""
    return statistics.stdev(values) / statistics.mean(values)


if __name__ == "__main__":
    main()
