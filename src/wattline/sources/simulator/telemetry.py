"""What reaches the collector: noisy, rounded readings with holes in them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wattline.sources.simulator.calibration import NAMES, SENSORS
from wattline.sources.simulator.faults import SENSOR_FAULTS, Fault

Floats = NDArray[np.float64]

OS_COLUMNS = ("cpu_user_percent", "load_one", "gpu_utilization_percent", "gpu_power_watts")
"""Columns that an agent on the node reports; the service processor reports the others."""
OUTAGE_SECONDS = (300.0, 2_700.0)


def read(random: np.random.Generator, truth: Mapping[str, Floats], faults: list[Fault]) -> NDArray[np.float32]:
    """Readings of all sensors (rows, nodes, columns), with their faults."""
    readings = []
    for sensor in SENSORS:
        name = sensor.column.name
        noisy = truth[name] + sensor.noise * random.standard_normal(truth[name].shape)
        for fault in faults:
            if fault.column == name:
                SENSOR_FAULTS[fault.kind](noisy, fault, random)
        rounded = np.round(noisy / sensor.resolution) * sensor.resolution
        readings.append(np.clip(rounded, sensor.low, sensor.high).astype(np.float32))
    return np.stack(readings, axis=2)


def lose(
    random: np.random.Generator, readings: NDArray[np.float32], *, share: float, cadence_seconds: float
) -> NDArray[np.bool_]:
    """Blank values in place and say which rows (rows, nodes) reached the collector at all.

    share: of samples lost; a third singly, a third in outages of a whole node, a third in those of one agent
    """
    rows, nodes, _ = readings.shape
    arrived = random.random((rows, nodes)) >= share / 3
    arrived &= ~_outages(random, rows, nodes, share=share / 3, cadence_seconds=cadence_seconds)
    by_os = np.array([name in OS_COLUMNS for name in NAMES])
    # Both agents fail equally often, and each reports only some of the columns.
    for columns in (by_os, ~by_os):
        silent = _outages(random, rows, nodes, share=share / 3, cadence_seconds=cadence_seconds)
        readings[silent[:, :, None] & columns] = np.nan
    arrived[[0, -1]] = True
    return arrived


def _outages(
    random: np.random.Generator, rows: int, nodes: int, *, share: float, cadence_seconds: float
) -> NDArray[np.bool_]:
    silent = np.zeros((rows, nodes), dtype=bool)
    mean_seconds = sum(OUTAGE_SECONDS) / 2
    for node in range(nodes):
        for start in random.integers(0, rows, random.poisson(share * rows * cadence_seconds / mean_seconds)):
            silent[start : start + max(1, round(random.uniform(*OUTAGE_SECONDS) / cadence_seconds)), node] = True
    return silent
