"""Which GPUs the programs of this process can use, and what NVML tells about each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pynvml

from wattline.energy.meters.meter import MeterError


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    handle: NVML's
    index: its place in NVML's list, which is in the order of PCI addresses
    maximum_watts: highest power limit that can be set [W]; None where it is not told
    counts: whether it has an energy counter
    """

    handle: Any
    index: int
    uuid: str
    model: str
    maximum_watts: float | None
    counts: bool

    @property
    def name(self) -> str:
        return f"GPU {self.index} ({self.model}, {self.uuid})"


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an error of NVML's into a MeterError that says what it happened to."""
    try:
        yield
    except pynvml.NVMLError as error:
        remedies = {
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "there is no NVIDIA driver here (no libnvidia-ml.so.1); in a "
            "container ask for the driver capability `utility`",
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded; run nvidia-smi to see why",
            pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated while it ran; reboot the node",
            pynvml.NVML_ERROR_NO_PERMISSION: "NVML may not be read here; ask an administrator",
            pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU fell off the bus; see dmesg, the node needs a reset",
        }
        remedy = remedies.get(error.value, "see nvidia-smi")
        raise MeterError(f"{what}: NVML says {str(error).rstrip('.')!r}: {remedy}") from None


def visible(devices: str | None, order: str | None) -> list[Gpu]:
    """The GPUs that CUDA shows this process. NVML itself ignores CUDA_VISIBLE_DEVICES. Needs nvmlInit.

    devices: value of CUDA_VISIBLE_DEVICES; None where it is not set
    order: value of CUDA_DEVICE_ORDER; None where it is not set

    Raises MeterError where there is none, one is in MIG mode, or the two variables do not say which ones.
    """
    with explained("the GPUs cannot be listed"):
        every = [_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]
    if not every:
        raise MeterError("NVML lists no GPU; the job was given none, or a container hides them")
    chosen = every if devices is None else _chosen(every, devices, order)
    for gpu in chosen:
        if _is_split(gpu):
            raise MeterError(
                f"{gpu.name} is in MIG mode; its counter covers all instances, and no share of it is ours: measure on "
                "a whole GPU"
            )
    return chosen


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    try:
        maximum = pynvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)[1] / 1e3
    except pynvml.NVMLError:
        maximum = 0.0
    try:
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        counts = True
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):  # before Volta; an old driver
        counts = False
    return Gpu(
        handle=handle,
        index=index,
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        model=pynvml.nvmlDeviceGetName(handle),
        maximum_watts=maximum or None,
        counts=counts,
    )


def _chosen(every: list[Gpu], devices: str, order: str | None) -> list[Gpu]:
    """What CUDA makes of the variable: a list of places or of beginnings of UUIDs, up to the first that is neither."""
    chosen: list[Gpu] = []
    for entry in map(str.strip, devices.split(",")):
        if entry.startswith("MIG"):
            raise MeterError(
                f"CUDA_VISIBLE_DEVICES names {entry}, a MIG instance; the counter covers the whole GPU: measure on a "
                "whole GPU"
            )
        if entry.isdecimal() and order != "PCI_BUS_ID" and len({gpu.model for gpu in every}) > 1:
            raise MeterError(
                f"CUDA_VISIBLE_DEVICES={devices} counts GPUs by speed, and there are different models here; set "
                "CUDA_DEVICE_ORDER=PCI_BUS_ID, or name them by UUID"
            )
        found = (
            [gpu for gpu in every if str(gpu.index) == entry]
            if entry.isdecimal()
            else [gpu for gpu in every if entry and gpu.uuid.startswith(entry)]
        )
        if len(found) != 1:
            break
        if found[0] in chosen:
            raise MeterError(f"CUDA_VISIBLE_DEVICES={devices!r} names GPU {found[0].index} twice; CUDA then shows none")
        chosen += found
    if not chosen:
        raise MeterError(f"CUDA_VISIBLE_DEVICES={devices!r} shows no GPU of the {len(every)} here; correct or unset it")
    return chosen


def _is_split(gpu: Gpu) -> bool:
    with explained(f"whether {gpu.name} is in MIG mode cannot be told"):
        try:
            return bool(pynvml.nvmlDeviceGetMigMode(gpu.handle)[0])
        except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
            return False
