"""Meters of a site by their names in `energy.meter`: the node's controller, a monitoring server, the batch system."""

from collections.abc import Callable, Mapping

from wattline.energy.meters.ipmi import ipmi
from wattline.energy.meters.meter import Meter, MeterError
from wattline.energy.meters.prometheus import Prometheus
from wattline.energy.meters.redfish import Redfish
from wattline.energy.meters.slurm import Slurm
from wattline.params import EnergyParams
from wattline.settings import settings


def _ipmi(_: EnergyParams) -> Meter:
    return ipmi()


def _redfish(params: EnergyParams) -> Meter:
    if params.redfish is None:
        raise MeterError("energy.meter is redfish and energy.redfish is missing; state url, chassis, interval_seconds")
    return Redfish(params.redfish, settings())


def _prometheus(params: EnergyParams) -> Meter:
    if params.prometheus is None:
        raise MeterError(
            "energy.meter is prometheus and energy.prometheus is missing; state url, query, boundary, interval_seconds"
        )
    return Prometheus(params.prometheus, settings())


def _slurm(_: EnergyParams) -> Meter:
    return Slurm(settings())


def _ear(_: EnergyParams) -> Meter:
    raise MeterError(
        "EAR accounts a step when it has ended, and so cannot be read around a part of one; use the meter slurm here: "
        "the energy of a whole training is read from EAR after its job"
    )


FACTORIES: Mapping[str, Callable[[EnergyParams], Meter]] = {
    "ipmi": _ipmi,
    "redfish": _redfish,
    "prometheus": _prometheus,
    "slurm": _slurm,
    "ear": _ear,
}
"""By name in `energy.meter`. Each raises MeterError saying why the meter cannot be used here."""
