"""Meters: what reads the energy of an activity, and says how it knows."""

import logging
from collections.abc import Callable, Mapping
from typing import Literal

from wattline.energy.meters import site
from wattline.energy.meters.combined import Combined
from wattline.energy.meters.estimate import Estimate
from wattline.energy.meters.meter import Meter, MeterError
from wattline.energy.meters.rapl import Rapl
from wattline.params import EnergyParams

__all__ = ["FACTORIES", "Combined", "Device", "Estimate", "Meter", "MeterError", "Rapl", "automatic", "choose"]

logger = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]


def choose(energy: EnergyParams, *, device: Device = "cpu", root: int | None = None) -> Meter:
    """The meter of `energy.meter`.

    device: what the work runs on; `auto` meters its GPUs where that is cuda
    root: process whose tree an estimate is made for, instead of this one's; other meters cannot tell processes apart

    Raises MeterError where a meter that is named does not work here: nothing takes its place.
    """
    if energy.meter == "auto":
        return automatic(energy, device=device, root=root)
    return _estimate(energy, root=root) if energy.meter == "estimate" else named(energy.meter, energy)


def named(name: str, energy: EnergyParams) -> Meter:
    """One meter by its name. Raises MeterError where it does not work here."""
    try:
        return FACTORIES[name](energy)
    except MeterError as error:
        raise MeterError(f"energy.meter: {name} does not work here: {error}") from None


def automatic(energy: EnergyParams, *, device: Device, root: int | None = None) -> Meter:
    """What measures the devices that are used; for CPU packages without a counter, an estimate, with a warning why.

    root: as for `choose`

    Raises MeterError where a GPU is used and not metered: an estimate of CPU time would leave out most of it.
    """
    try:
        packages: Meter = Rapl()
    except MeterError as error:
        logger.warning("%s; energy of the CPU is estimated from CPU time", error)
        packages = _estimate(energy, root=root)
    if device == "cpu":
        return packages
    try:
        return Combined([packages, _nvml(energy)])
    except MeterError as error:
        raise MeterError(
            f"the work runs on a GPU that cannot be metered: {error}; set energy.meter to a meter of the site's, or to "
            "estimate, which leaves the GPU out"
        ) from None


def _rapl(_: EnergyParams) -> Meter:
    return Rapl()


def _nvml(_: EnergyParams) -> Meter:
    from wattline.energy.meters.nvml import Nvml
    from wattline.settings import cuda_devices

    devices, order = cuda_devices()
    return Nvml(devices=devices, order=order)


def _both(energy: EnergyParams) -> Meter:
    return Combined([_rapl(energy), _nvml(energy)])


def _estimate(energy: EnergyParams, *, root: int | None = None) -> Meter:
    return Estimate(
        watts_per_core=energy.watts_per_core,
        watts_source=energy.watts_source,
        idle_share=energy.idle_share,
        idle_source=energy.idle_source,
        root=root,
    )


FACTORIES: Mapping[str, Callable[[EnergyParams], Meter]] = {
    "rapl": _rapl,
    "nvml": _nvml,
    "rapl+nvml": _both,
    "estimate": _estimate,
    **site.FACTORIES,
}
"""Every meter by its name in `energy.meter`. A factory raises MeterError where its meter does not work here."""
