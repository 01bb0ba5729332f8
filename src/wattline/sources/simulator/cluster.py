"""Puts the parts together: faults, work, air, nodes and telemetry of one simulation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from wattline.sources.simulator import jobs, plant, telemetry
from wattline.sources.simulator.calibration import NAMES
from wattline.sources.simulator.faults import MACHINE_FAULTS, Fault, plan
from wattline.sources.simulator.options import Options
from wattline.sources.source import UnitSeries
from wattline.task import FloatArray, Series

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday: the first instant of every simulation."""


def units(options: Options, seed: int) -> Iterator[UnitSeries]:
    """Simulate all nodes, which share jobs and air, and give them one by one."""
    # One stream for each concern: more faults do not make other jobs.
    for_faults, for_work, for_air, for_nodes, for_sensors, for_losses = (
        np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(6)
    )
    racks = np.arange(options.nodes) // options.nodes_per_rack
    faults = choose_faults(for_faults, options, racks)
    conditions = _conditions(for_work, for_air, options, racks)
    for fault in faults:
        if fault.kind in MACHINE_FAULTS:
            MACHINE_FAULTS[fault.kind](conditions, fault)
    nodes = plant.build(for_nodes, options.nodes)
    truth = plant.simulate(for_nodes, conditions, nodes, cadence_seconds=options.cadence_seconds)
    readings = telemetry.read(for_sensors, truth, faults)
    arrived = telemetry.lose(for_losses, readings, share=options.missing_share, cadence_seconds=options.cadence_seconds)
    yield from _split(options, readings, arrived, labels(options, faults), racks)


def choose_faults(random: np.random.Generator, options: Options, racks: NDArray[np.intp]) -> list[Fault]:
    """Faults of the test part, and the few that hide in the train part."""
    test, train = (
        plan(
            random,
            first=first,
            last=last,
            racks=racks,
            cadence_seconds=options.cadence_seconds,
            per_node_day=options.faults_per_node_day,
        )
        for first, last in ((options.test_row, options.rows), (0, options.test_row))
    )
    return test + [train[index] for index in random.permutation(len(train))[: options.train_faults]]


def labels(options: Options, faults: list[Fault]) -> NDArray[np.float64]:
    """1 from the first to the last row of a fault, 0 elsewhere, NaN in the train part (rows, nodes)."""
    marked = np.zeros((options.rows, options.nodes))
    for fault in faults:
        marked[fault.rows, fault.nodes] = 1.0
    marked[: options.test_row] = np.nan
    return marked


def _conditions(
    for_work: np.random.Generator, for_air: np.random.Generator, options: Options, racks: NDArray[np.intp]
) -> plant.Conditions:
    shape = (options.rows, options.nodes)
    return plant.Conditions(
        work=jobs.work(
            for_work,
            rows=options.rows,
            nodes=options.nodes,
            cadence_seconds=options.cadence_seconds,
            jobs_per_node_day=options.jobs_per_node_day,
        ),
        inlet=plant.inlet(for_air, rows=options.rows, racks=racks, cadence_seconds=options.cadence_seconds),
        airflow=np.ones(shape),
        resistance=np.ones(shape),
        clock=np.ones(shape),
        leak=np.zeros(shape),
        queued=np.zeros(shape),
    )


def _split(
    options: Options,
    readings: FloatArray,
    arrived: NDArray[np.bool_],
    marked: NDArray[np.float64],
    racks: NDArray[np.intp],
) -> Iterator[UnitSeries]:
    step = round(options.cadence_seconds * 1e9)
    start = np.datetime64(EPOCH.replace(tzinfo=None), "ns")
    timestamps = start + np.arange(options.rows).astype("timedelta64[ns]") * step
    test_start = EPOCH + timedelta(seconds=options.test_row * options.cadence_seconds)
    for node, rack in enumerate(racks.tolist()):
        rows = arrived[:, node]
        series = Series(
            unit=f"node-{node:04d}",
            group=f"rack-{rack:02d}",
            timestamps=timestamps[rows],
            values=readings[rows, node],
            target=marked[rows, node],
        )
        yield UnitSeries(series, NAMES, test_start)
