"""What goes wrong, where and when: faults of machines change conditions, faults of sensors change readings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wattline.sources.simulator.plant import Conditions

Floats = NDArray[np.float64]

DRIFTING = {"p0_power_watts": 70.0, "total_power_watts": 180.0, "p0_core_degc": 12.0, "gpu_core_degc": 12.0,
            "ambient_degc": 6.0}  # fmt: skip
"""Sensors that may drift, and by how much at full severity [unit of the column]."""
STICKING = ("p0_power_watts", "total_power_watts", "p0_core_degc", "gpu_core_degc", "fan_rpm")
SPIKING = {"p1_power_watts": 120.0, "total_power_watts": 500.0, "p1_core_degc": 25.0, "fan_rpm": 2_500.0}
"""Sensors that may report single wrong values, and how wrong at full severity [unit of the column]."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    start, stop: [row]; stop is the first sound one
    nodes: which nodes it hits
    severity: 0.55 (hard to see) to 1
    column: the sensor, for faults of sensors
    """

    kind: str
    start: int
    stop: int
    nodes: NDArray[np.intp]
    severity: float
    column: str = ""

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)

    def ramp(self, share: float) -> Floats:
        """0 to 1 over the first `share` of its rows, then 1 (rows, 1)."""
        length = self.stop - self.start
        return np.minimum(1.0, np.arange(1, length + 1) / max(1.0, share * length))[:, None]


def _fan_failure(conditions: Conditions, fault: Fault) -> None:
    conditions.airflow[fault.rows, fault.nodes] *= 1 - 0.75 * fault.severity


def _thermal_throttling(conditions: Conditions, fault: Fault) -> None:
    conditions.resistance[fault.rows, fault.nodes] *= 1 + 0.9 * fault.severity
    conditions.clock[fault.rows, fault.nodes] *= 1 - 0.5 * fault.severity


def _power_leak(conditions: Conditions, fault: Fault) -> None:
    conditions.leak[fault.rows, fault.nodes] += 260 * fault.severity * fault.ramp(0.05)


def _runaway_load(conditions: Conditions, fault: Fault) -> None:
    cpu = conditions.work.cpu
    cpu[fault.rows, fault.nodes] = np.maximum(cpu[fault.rows, fault.nodes], 0.6 + 0.4 * fault.severity)
    conditions.queued[fault.rows, fault.nodes] += 200 * fault.severity * fault.ramp(0.2)


def _inlet_heat(conditions: Conditions, fault: Fault) -> None:
    conditions.inlet[fault.rows, fault.nodes] += 14 * fault.severity * fault.ramp(0.1)


def _stuck_sensor(readings: Floats, fault: Fault, random: np.random.Generator) -> None:  # noqa: ARG001
    readings[fault.rows, fault.nodes] = readings[fault.start, fault.nodes]


def _sensor_drift(readings: Floats, fault: Fault, random: np.random.Generator) -> None:  # noqa: ARG001
    readings[fault.rows, fault.nodes] += DRIFTING[fault.column] * fault.severity * fault.ramp(0.2)


def _telemetry_spikes(readings: Floats, fault: Fault, random: np.random.Generator) -> None:
    region = readings[fault.rows, fault.nodes]
    hit = random.random(region.shape) < 0.15
    sign = np.where(random.random(region.shape) < 0.5, -1.0, 1.0)
    readings[fault.rows, fault.nodes] = region + hit * sign * SPIKING[fault.column] * fault.severity


MACHINE_FAULTS: Mapping[str, Callable[[Conditions, Fault], None]] = {
    "fan_failure": _fan_failure,
    "thermal_throttling": _thermal_throttling,
    "power_leak": _power_leak,
    "runaway_load": _runaway_load,
    "inlet_heat": _inlet_heat,
}
SENSOR_FAULTS: Mapping[str, Callable[[Floats, Fault, np.random.Generator], None]] = {
    "stuck_sensor": _stuck_sensor,
    "sensor_drift": _sensor_drift,
    "telemetry_spikes": _telemetry_spikes,
}
SENSORS = {
    "stuck_sensor": STICKING,
    "sensor_drift": tuple(DRIFTING),
    "telemetry_spikes": tuple(SPIKING),
}
MINUTES = {
    "fan_failure": (40, 200),
    "thermal_throttling": (30, 120),
    "power_leak": (40, 180),
    "runaway_load": (20, 90),
    "inlet_heat": (60, 150),
    "stuck_sensor": (30, 120),
    "sensor_drift": (40, 150),
    "telemetry_spikes": (20, 90),
}
"""How long each kind lasts, shortest and longest."""


INLET_HEAT_SHARE = 0.2
"""Events of one rack for each fault of one node."""


def plan(
    random: np.random.Generator,
    *,
    first: int,
    last: int,
    racks: NDArray[np.intp],
    cadence_seconds: float,
    per_node_day: float,
) -> list[Fault]:
    """Random faults between rows `first` and `last`: at least one on each node, never two at a time on one node."""
    days = (last - first) * cadence_seconds / 86_400
    kinds = [kind for kind in MINUTES if kind != "inlet_heat"]
    faults = []
    for node in range(len(racks)):
        count = max(1, int(random.poisson(per_node_day * days)))
        edges = np.linspace(first, last, count + 1).astype(int).tolist()
        for start, stop in pairwise(edges):
            kind = kinds[int(random.integers(len(kinds)))]
            faults.append(_place(random, kind, start, stop, nodes=np.array([node]), cadence_seconds=cadence_seconds))
    # A rack's air fails for all its nodes at once.
    for _ in range(max(1, int(random.poisson(INLET_HEAT_SHARE * per_node_day * days * (racks[-1] + 1))))):
        nodes = np.flatnonzero(racks == random.integers(racks[-1] + 1))
        faults.append(_place(random, "inlet_heat", first, last, nodes=nodes, cadence_seconds=cadence_seconds))
    return faults


def _place(
    random: np.random.Generator, kind: str, first: int, last: int, *, nodes: NDArray[np.intp], cadence_seconds: float
) -> Fault:
    shortest, longest = (max(2, round(minutes * 60 / cadence_seconds)) for minutes in MINUTES[kind])
    length = min(int(random.integers(shortest, longest + 1)), last - first)
    start = int(random.integers(first, last - length + 1))
    sensors = SENSORS.get(kind, ("",))
    column = sensors[int(random.integers(len(sensors)))]
    return Fault(kind, start, start + length, nodes, random.uniform(0.55, 1.0), column)
