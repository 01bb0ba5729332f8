"""Known loads for the self-test of a meter: child processes that keep CPU cores, or GPUs, busy while a block runs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from wattline.energy.meters.meter import MeterError

Load = Callable[[], AbstractContextManager[None]]

LONGEST_SECONDS = 600
"""A load ends by itself after so long, should nobody be left to end it [s]."""

_LOOP = """
import time
end = time.monotonic() + {longest}
{prepare}
print("busy", flush=True)
while time.monotonic() < end:
    {work}
"""
_INTEGERS = _LOOP.format(longest=LONGEST_SECONDS, prepare="", work="sum(range(10_000))")
_COPIES = _LOOP.format(
    longest=LONGEST_SECONDS,
    prepare="source, target = bytes(32 << 20), bytearray(32 << 20)",
    work="target[:] = source",
)
_PRODUCTS = _LOOP.format(
    longest=LONGEST_SECONDS,
    prepare="""
import torch
places = range(torch.cuda.device_count())
factors = [torch.randn(4096, 4096, device=f"cuda:{place}", dtype=torch.bfloat16) for place in places]
for _ in range(3):
    products = [factor @ factor for factor in factors]
    [torch.cuda.synchronize(place) for place in places]
assert factors, "torch finds no GPU"
""",
    work="products = [factor @ factor for factor in factors for _ in range(20)]; "
    "[torch.cuda.synchronize(place) for place in places]",
)


def integers() -> AbstractContextManager[None]:
    """A quarter of the cores, one at least, count integers: registers and first-level cache."""
    return _children(_INTEGERS, _cores())


def copies() -> AbstractContextManager[None]:
    """As many cores copy 32 MiB over and over: memory. The CPU time is that of `integers`, the power is not."""
    return _children(_COPIES, _cores())


def products() -> AbstractContextManager[None]:
    """Every visible GPU multiplies matrices. Raises MeterError where PyTorch with CUDA cannot be imported."""
    return _children(_PRODUCTS, 1)


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) // 4)


@contextmanager
def _children(program: str, count: int) -> Iterator[None]:
    children = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline() != "busy\n":
                _, errors = child.communicate()
                last = (errors.strip().splitlines() or ["it ended at once"])[-1]
                raise MeterError(f"no known load can be made here: {last}")
        yield
    finally:
        for child in children:
            child.kill()
            child.communicate()
