"""The nodes themselves: power from work, temperature from power and inlet air, fan speed from temperature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline.sources.simulator.calibration import NAMES
from wattline.sources.simulator.jobs import Work

Floats = NDArray[np.float64]

BASE_WATTS = 195.0
"""Memory, I/O, disks and losses of a node without work [W]."""
FAN_WATTS = 24.0
FAN_NOMINAL_RPM = 4_360.0
FAN_RANGE_RPM = (3_000.0, 10_800.0)
FAN_SECONDS = 90.0
HARDWARE_THREADS = 128
DAY_SECONDS = 86_400.0

PARTS = ("p0_core_degc", "p1_core_degc", "gpu_core_degc", "gpu_memory_degc", "dimm_degc")
LAG_SECONDS = np.array([150.0, 150.0, 120.0, 240.0, 1_500.0])
"""Time constants of the parts' first-order response to heat."""


@dataclass
class Conditions:
    """What happens to the nodes, each (rows, nodes); faults change these in place.

    inlet: air temperature [degC]
    airflow: what is left of the fans' flow, 1 when sound
    resistance: factor on thermal resistance, 1 when sound
    clock: factor on the power of work, below 1 when throttled
    leak: power without work [W]
    queued: runnable threads beyond those that the hardware can serve
    """

    work: Work
    inlet: Floats
    airflow: Floats
    resistance: Floats
    clock: Floats
    leak: Floats
    queued: Floats


@dataclass(frozen=True)
class Nodes:
    """What differs from node to node, each (nodes,).

    offsets: (parts, nodes) [degC]; sockets: (2, nodes) idle power [W]; base [W]; fan [rpm]; cooling: factor
    """

    offsets: Floats
    sockets: Floats
    base: Floats
    fan: Floats
    cooling: Floats


def build(random: np.random.Generator, nodes: int) -> Nodes:
    """Nodes of one delivery: alike, not equal."""
    return Nodes(
        offsets=random.normal(0, [[1.6], [1.8], [1.3], [1.2], [1.0]], (len(PARTS), nodes)),
        sockets=np.array([[37.0], [34.0]]) + random.normal(0, [[5.0], [6.0]], (2, nodes)),
        base=random.normal(BASE_WATTS, 22.0, nodes),
        fan=random.normal(0, 240.0, nodes),
        cooling=random.normal(1, 0.05, nodes),
    )


def inlet(random: np.random.Generator, *, rows: int, racks: NDArray[np.intp], cadence_seconds: float) -> Floats:
    """Air temperature at each node's inlet (rows, nodes) [degC]: day and night, weather, rack, height in the rack."""
    hours = np.arange(rows) * cadence_seconds / DAY_SECONDS
    weather = _wander(random, rows, count=1, tau_seconds=1.2 * DAY_SECONDS, cadence_seconds=cadence_seconds)
    local = _wander(random, rows, count=int(racks.max()) + 1, tau_seconds=7_200.0, cadence_seconds=cadence_seconds)
    rack = random.normal(0, 1.2, int(racks.max()) + 1)
    height = random.normal(0, 1.6, len(racks))
    common = 22.3 + 2.4 * np.sin(2 * np.pi * (hours - 0.35))[:, None] + 1.5 * weather
    return np.asarray(common + 0.5 * local[:, racks] + rack[racks] + height)


def _wander(
    random: np.random.Generator, rows: int, *, count: int, tau_seconds: float, cadence_seconds: float
) -> Floats:
    """Ornstein-Uhlenbeck processes of unit variance (rows, count)."""
    keep = float(np.exp(-cadence_seconds / tau_seconds))
    shocks: Floats = random.standard_normal((rows, count)) * np.sqrt(1 - keep**2)
    shocks[0] /= np.sqrt(1 - keep**2)
    for row in range(1, rows):
        shocks[row] += keep * shocks[row - 1]
    return shocks


def simulate(
    random: np.random.Generator, conditions: Conditions, nodes: Nodes, *, cadence_seconds: float
) -> dict[str, Floats]:
    """True values of every column, each (rows, nodes)."""
    work, clock = conditions.work, conditions.clock
    shape = work.cpu.shape
    sockets = [
        nodes.sockets[index] + (215 * work.cpu**0.95 * share + 9 * work.gpus) * clock
        + random.normal(0, 2.2, shape) + 22 * work.cpu * random.normal(0, 0.35, shape)
        for index, share in enumerate((1.0, 0.96))
    ]  # fmt: skip
    sockets[1] = sockets[1] + 0.3 * conditions.leak
    gpu0 = 43 + 205 * work.gpu0 * clock
    gpus = 172 + 820 * work.gpus * clock + (8 + 60 * work.gpus) * random.standard_normal(shape)
    temperatures, fan = _heat(conditions, nodes, [*sockets, gpu0], cadence_seconds=cadence_seconds)
    total = (
        nodes.base + sockets[0] + sockets[1] + gpus + 0.7 * conditions.leak
        + FAN_WATTS * (fan / FAN_NOMINAL_RPM) ** 3 + 38 * random.standard_normal(shape)
    )  # fmt: skip
    values = [
        100 * work.cpu,
        _load(HARDWARE_THREADS * work.cpu + conditions.queued, cadence_seconds),
        *sockets,
        100 * work.gpu0,
        gpus,
        total,
    ]
    values += [conditions.inlet, *temperatures[:4], fan, temperatures[4]]
    return dict(zip(NAMES, values, strict=True))


def _load(threads: Floats, cadence_seconds: float) -> Floats:
    """One-minute load average: exponentially weighted count of runnable threads."""
    keep = float(np.exp(-cadence_seconds / 60))
    load = threads.copy()
    for row in range(1, len(load)):
        load[row] += keep * (load[row - 1] - load[row])
    return load


def _heat(
    conditions: Conditions, nodes: Nodes, watts: list[Floats], *, cadence_seconds: float
) -> tuple[Floats, Floats]:
    """Temperatures (parts, rows, nodes) [degC] and fan speed (rows, nodes) [rpm].

    Each part follows inlet + rise / flow^0.8 with a first-order lag (forced convection: Nusselt ~ Reynolds^0.8, e.g.
    Incropera et al., Fundamentals of Heat and Mass Transfer, chapter 8); the fan follows the hottest part.
    """
    p0, p1, gpu = watts
    rise = np.stack([7.0 + 0.255 * p0, 7.0 + 0.265 * p1, 5.0 + 0.148 * gpu, 2.2 + 0.162 * gpu, 6.6 + 0.012 * (p0 + p1)])
    rise *= conditions.resistance * nodes.cooling
    rise += nodes.offsets[:, None, :]
    follow = 1 - np.exp(-cadence_seconds / LAG_SECONDS)[:, None]
    follow_fan = 1 - float(np.exp(-cadence_seconds / FAN_SECONDS))
    temperatures = np.empty_like(rise)
    fans = np.empty_like(p0)
    state, fan = conditions.inlet[0] + rise[:, 0], np.full(len(nodes.fan), FAN_NOMINAL_RPM)
    for row in range(len(fans)):
        flow = (fan / FAN_NOMINAL_RPM * conditions.airflow[row]) ** 0.8
        state = state + follow * (conditions.inlet[row] + rise[:, row] / flow - state)
        wanted = 3_250 + nodes.fan + 64 * np.maximum(state[:3].max(axis=0) - 30, 0)
        fan = fan + follow_fan * (np.clip(wanted, *FAN_RANGE_RPM) - fan)
        temperatures[:, row], fans[row] = state, fan
    return temperatures, fans * np.sqrt(conditions.airflow)
