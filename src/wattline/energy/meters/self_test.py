"""The self-test of a meter: a few short readings, half of them under a known load, that a working one must pass."""

import math
import time
from collections.abc import Iterator, Sequence

from wattline.energy.meters import cpu_time, loads
from wattline.energy.meters.combined import Combined
from wattline.energy.meters.disguise import Reading, formula
from wattline.energy.meters.loads import Load
from wattline.energy.meters.meter import Meter, MeterError
from wattline.records import Condition, Energy, SelfTest

SHORTEST_SECONDS = 0.25
LONGEST_SECONDS = 20.0
IDLE_BEFORE, LOADED, IDLE_AFTER = 3, 4, 1
"""Readings. That noise puts all four loaded ones above all four idle ones has a chance of 1 in 70."""
TRIES = 3
NO_DISGUISE = "is no estimate in disguise"

Observed = tuple[Energy, Reading]


def self_test(meter: Meter, *, load: Load | None = None) -> SelfTest:
    """Does this meter work here? Nothing raises: what fails is found.

    Takes 2 s, or eight fifths of `minimum_seconds`; three times that where it looks like an estimate.

    load: what keeps busy what the meter reads; by default CPU cores, or the GPUs where it reads devices
    """
    began = time.monotonic()
    if isinstance(meter, Combined) and load is None:
        conditions = tuple(
            condition.model_copy(update={"name": f"{part.name}: {condition.name}"})
            for part in meter.parts
            for condition in self_test(part).conditions
        )
    else:
        conditions = tuple(_conditions(meter, load))
    return SelfTest(meter=meter.name, conditions=conditions, seconds=time.monotonic() - began)


def _conditions(meter: Meter, load: Load | None) -> Iterator[Condition]:
    try:
        observed = _observe(meter, load)
    except MeterError as error:
        yield Condition(name="can be read", holds=False, found=str(error))
        return
    except ValueError as error:  # a record that refuses what the meter put into it, e.g. negative joules
        yield Condition(name="can be read", holds=False, found=f"no valid reading: {_first_line(error)}")
        return
    readings = [reading for _, reading in observed]
    energies = [energy for energy, _ in observed]
    yield Condition(name="can be read", holds=True, found=f"{len(observed)} readings of {readings[0].seconds:.2g} s")
    yield _figures(observed)
    if not all(math.isfinite(energy.joules) for energy in energies):
        return
    yield _counts(observed)
    yield _moves(observed)
    yield _label(meter, energies)
    if any(energy.provenance == "measured" for energy in energies):
        yield _no_disguise(meter, load, readings, energies[0])


def _observe(meter: Meter, load: Load | None) -> list[Observed]:
    """Idle, loaded, and idle again, so that a drift is not taken for the load."""
    observed = [_read(meter, loaded=False) for _ in range(IDLE_BEFORE)]
    if load is None and observed[0][0].scope == "devices":
        with loads.products():  # starts once, as loading CUDA takes seconds
            observed += [_read(meter, loaded=True) for _ in range(LOADED)]
    else:
        for place in range(LOADED):
            with (load or (loads.integers, loads.copies)[place % 2])():
                observed.append(_read(meter, loaded=True))
    return observed + [_read(meter, loaded=False) for _ in range(IDLE_AFTER)]


def _read(meter: Meter, *, loaded: bool) -> Observed:
    """Clocks are read on both sides of `start` and `stop`, as it is not known when the meter reads its own."""
    before = time.monotonic(), cpu_time.tree()
    meter.start()
    started = time.monotonic(), cpu_time.tree()
    time.sleep(min(LONGEST_SECONDS, max(SHORTEST_SECONDS, meter.minimum_seconds / 5)))
    stopping = time.monotonic(), cpu_time.tree()
    energy = meter.stop()
    after = time.monotonic(), cpu_time.tree()
    shortest, longest = stopping[0] - started[0], after[0] - before[0]
    if not 0.9 * shortest <= energy.seconds <= 1.1 * longest:
        raise MeterError(f"it says that {energy.seconds:.3g} s passed where {shortest:.3g} to {longest:.3g} s did")
    least, most = stopping[1].seconds - started[1].seconds, after[1].seconds - before[1].seconds
    reading = Reading(
        joules=energy.joules,
        seconds=energy.seconds,
        cpu_seconds=(least + most) / 2,
        skew_seconds=(longest - shortest) / 2 + before[1].resolution,
        loaded=loaded,
    )
    return energy, reading


def _figures(observed: Sequence[Observed]) -> Condition:
    wrong = [
        energy
        for energy, _ in observed
        if not (math.isfinite(energy.joules) and energy.interval[0] <= energy.joules <= energy.interval[1])
    ]
    found = (
        f"{wrong[0].joules:.4g} J with the interval {wrong[0].interval[0]:.4g} to {wrong[0].interval[1]:.4g} J"
        if wrong
        else "all finite, none negative, each inside its interval"
    )
    return Condition(name="reads figures", holds=not wrong, found=found)


def _counts(observed: Sequence[Observed]) -> Condition:
    """A measured zero is a counter that stands still; an estimate of an idle process may be one."""
    counted = [energy.joules for energy, reading in observed if reading.loaded or energy.provenance == "measured"]
    joules = [energy.joules for energy, _ in observed]
    return Condition(
        name="counts",
        holds=min(counted) > 0 and len(set(joules)) > 1,
        found=f"{min(joules):.4g} to {max(joules):.4g} J, {len(set(joules))} different readings of {len(joules)}",
    )


def _moves(observed: Sequence[Observed]) -> Condition:
    idle = [reading.watts for _, reading in observed if not reading.loaded]
    loaded = [reading.watts for _, reading in observed if reading.loaded]
    step = max((energy.resolution_joules or 0.0) / reading.seconds for energy, reading in observed)
    return Condition(
        name="a known load moves it",
        holds=min(loaded) > max(idle) and sum(loaded) / len(loaded) - sum(idle) / len(idle) > step,
        found=f"idle {min(idle):.4g} to {max(idle):.4g} W, loaded {min(loaded):.4g} to {max(loaded):.4g} W",
    )


def _label(meter: Meter, energies: Sequence[Energy]) -> Condition:
    provenances = {energy.provenance for energy in energies}
    words = f"{meter.name} {energies[0].sensor} {' '.join(energies[0].parameters)}".lower()
    modelled = [word for word in ("estimate", "cpu time", "w/core", "watts_per_core", "tdp") if word in words]
    if len(provenances) > 1:
        problem = "some readings are called measured and some estimated"
    elif provenances == {"measured"} and modelled:
        problem = f"called measured, and its sensor is a model: {', '.join(modelled)}"
    elif provenances == {"estimated"} and not energies[0].parameters:
        problem = "called estimated, and does not say from what"
    else:
        problem = ""
    return Condition(name="is called what it is", holds=not problem, found=problem or energies[0].provenance)


def _no_disguise(meter: Meter, load: Load | None, readings: Sequence[Reading], energy: Energy) -> Condition:
    """An estimate fits its formula every time; a sensor may do so once, where a busy machine draws clocks apart."""
    computed = formula(readings, energy.scope)
    for _ in range(TRIES - 1):
        if computed is None:
            break
        try:
            again = _observe(meter, load)
        except (MeterError, ValueError) as error:
            return Condition(name=NO_DISGUISE, holds=False, found=f"it cannot be read again: {_first_line(error)}")
        computed = formula([reading for _, reading in again], energy.scope)
    return Condition(
        name=NO_DISGUISE,
        holds=computed is None,
        found=f"every reading is {computed}" if computed else "no formula in time and CPU time gives these readings",
    )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
