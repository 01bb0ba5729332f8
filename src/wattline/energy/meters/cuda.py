"""CUDA's driver as this process has it already: waiting for the work that was queued on its GPUs."""

import ctypes
import os
from collections.abc import Iterator

from wattline.energy.meters.meter import MeterError

_NOT_INITIALIZED = 3
_DEINITIALIZED = 4


def synchronise() -> None:
    """Wait until all work that this process queued on its GPUs is done. Where it uses none, do nothing.

    Work is queued in a context, and PyTorch, ONNX Runtime, CuPy and everything else on CUDA's runtime use the primary
    one of each device. Only contexts that exist are waited for: making one would cost memory and energy. Not waited
    for is work in contexts that a program made for itself, and in other processes: these have to wait themselves
    before they answer, and one that ended has.

    Raises MeterError when the driver reports that the work failed.
    """
    for driver, device in _devices_in_use():
        _wait_for(driver, device)


def in_use() -> bool:
    """Whether this process has a context on a GPU. Raises MeterError when the driver reports an error."""
    return any(True for _ in _devices_in_use())


def _devices_in_use() -> Iterator[tuple[ctypes.CDLL, ctypes.c_int]]:
    """The driver, and each device of which this process has the primary context."""
    try:
        # Found only where the program has loaded it, so that looking does not start CUDA.
        driver = ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return
    count = ctypes.c_int()
    outcome = driver.cuDeviceGetCount(ctypes.byref(count))
    if outcome in (_NOT_INITIALIZED, _DEINITIALIZED):  # loaded, and not used
        return
    _check(outcome, "cuDeviceGetCount")
    for ordinal in range(count.value):
        device, flags, active = ctypes.c_int(), ctypes.c_uint(), ctypes.c_int()
        _check(driver.cuDeviceGet(ctypes.byref(device), ordinal), "cuDeviceGet")
        _check(
            driver.cuDevicePrimaryCtxGetState(device, ctypes.byref(flags), ctypes.byref(active)),
            "cuDevicePrimaryCtxGetState",
        )
        if active.value:
            yield driver, device


def _wait_for(driver: ctypes.CDLL, device: ctypes.c_int) -> None:
    context = ctypes.c_void_p()
    _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), "cuDevicePrimaryCtxRetain")
    try:
        _check(driver.cuCtxPushCurrent_v2(context), "cuCtxPushCurrent")
        try:
            _check(driver.cuCtxSynchronize(), "cuCtxSynchronize")
        finally:
            driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)


def _check(outcome: int, call: str) -> None:
    if outcome:
        raise MeterError(
            f"CUDA's {call} failed with error {outcome}; work on the GPU failed, and its energy is not that of the "
            "work: look at the program's own error"
        )
