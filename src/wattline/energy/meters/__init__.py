"""Meters: what reads the energy of an activity, and says how it knows."""

import logging
from pathlib import Path

from wattline.energy.meters.estimate import Estimate
from wattline.energy.meters.meter import Meter, MeterError
from wattline.energy.meters.rapl import POWERCAP, Rapl
from wattline.params import EnergyParams

__all__ = ["Estimate", "Meter", "MeterError", "Rapl", "choose"]

logger = logging.getLogger(__name__)


def choose(energy: EnergyParams, *, powercap: Path = POWERCAP) -> Meter:
    """The first meter that works here: RAPL, then an estimate. Why a better one does not is logged as a warning."""
    try:
        return Rapl(powercap)
    except MeterError as error:
        logger.warning("%s; energy is estimated from CPU time", error)
        return Estimate(watts_per_core=energy.watts_per_core, watts_source=energy.watts_source)
