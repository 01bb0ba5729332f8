"""What workers are given in tests. They import this module, and little else."""

import os
import time
from pathlib import Path

import numpy as np

from wattline.errors import InputError


def target(rows):
    """Depends on every value, so that a worker that mixes up units is seen."""
    return np.nansum(rows.values, axis=1).astype(np.float64)


def square(number: int) -> tuple[int, int]:
    """Process and answer. The fourth unit costs the first worker that takes it its life."""
    if number == 3 and not Path("died").exists():
        Path("died").touch()
        os._exit(9)
    return os.getpid(), number**2


def grow(mebibytes: int) -> int:
    """Take more and more memory, all of it written to."""
    held = []
    for _ in range(mebibytes // 16):
        held.append(os.urandom(16 * 2**20))
        time.sleep(0.02)
    return len(held)


def fail(number: int) -> int:
    if number > 1:
        raise InputError(f"unit {number} is wrong")
    return number
