"""Energy of the path that callers use: the real server is started on a candidate and asked over HTTP."""

from collections.abc import Callable, Sequence
from pathlib import Path

from wattline.energy import meters
from wattline.energy.meters import Meter
from wattline.errors import InputError
from wattline.measuring.serving.net import idle_watts, net, rate
from wattline.measuring.serving.process import served
from wattline.measuring.serving.traffic import Predictions, Rows, Traffic
from wattline.measuring.serving.turns import Caller, Reading, take_turns, warm_up
from wattline.params import EnergyParams, MeasureParams, ServingLoadParams, ServingParams
from wattline.progress import progress
from wattline.records import ServingEnergy
from wattline.serving.inference.engine import Engine
from wattline.task import Split

MILLION = 1_000_000


def serving_energy(
    folder: Path,
    test: Split,
    *,
    columns: Sequence[str],
    measure: MeasureParams,
    energy: EnergyParams,
    serving: ServingParams,
) -> ServingEnergy | None:
    """What `measure_serving` finds with the meter of `energy`; None where `measure.serving` is null."""
    if measure.serving is None:
        return None
    return measure_serving(
        folder,
        test,
        columns=columns,
        meter=lambda root: meters.choose(energy, device=serving.batching.device, root=root),
        serving=serving,
        knobs=measure.serving,
        watts_per_core=energy.watts_per_core,
    )


def measure_serving(
    folder: Path,
    test: Split,
    *,
    columns: Sequence[str],
    meter: Callable[[int], Meter],
    serving: ServingParams,
    knobs: ServingLoadParams,
    watts_per_core: float,
) -> ServingEnergy:
    """What requests to the project's own server cost, when it serves the candidate in `folder`.

    test: rows that the server is asked about; columns: names of their last axis
    meter: makes the meter, given the process whose tree is to be read where a meter can tell processes apart
    watts_per_core: for the server's own counter in /metrics [W]
    Raises ServingError when the server does not start, ends, or does not answer everything right; MeterError when the
    meter stops working; InputError when what it reads cannot be told from idling. The server is ended in any case.
    """
    engine = Engine(folder)
    if knobs.connections > serving.limits.connections:
        raise InputError(
            f"measure.serving.connections is {knobs.connections}, but the server takes {serving.limits.connections}: "
            "ask for fewer, or raise serving.limits.connections"
        )
    predictions = Predictions(engine, test, columns, connections=knobs.connections)
    rows = Rows(
        engine.signature,
        test,
        columns,
        connections=knobs.connections,
        request_rows=min(serving.limits.request_windows, serving.limits.queue_windows),
    )
    with (
        progress("serving energy") as report,
        served(
            folder,
            serving,
            model=engine.signature.task,
            watts_per_core=watts_per_core,
            ready_seconds=knobs.timeout_seconds,
        ) as server,
    ):
        caller, chosen = Caller(server, timeout_seconds=knobs.timeout_seconds), meter(server.process.pid)
        caller.ask(rows.fill(), rows)
        counts: dict[Traffic, int] = {
            traffic: warm_up(caller, traffic, count=count, minimum_seconds=chosen.minimum_seconds)
            for traffic, count in ((predictions, knobs.requests), (rows, knobs.rows))
        }
        readings = take_turns(
            caller, counts, meter=chosen, repeats=knobs.repeats, idle_seconds=knobs.idle_seconds, report=report
        )
    return concluded(readings, engine, connections=knobs.connections)


def concluded(readings: Sequence[Reading], engine: Engine, *, connections: int) -> ServingEnergy:
    """The figures of a session. Raises InputError where they cannot be told from idling."""
    columns = len(engine.signature.columns)
    inside = boundary(readings)
    return ServingEnergy(
        per_1000_requests=net(readings, Predictions.path, per=1000, boundary=inside),
        per_million_samples=net(readings, Rows.path, per=MILLION / columns, boundary=inside),
        requests_per_second=rate(readings, Predictions.path),
        samples_per_second=rate(readings, Rows.path) * columns,
        digest=engine.candidate.digest,
        idle_watts=idle_watts(readings),
        columns=columns,
        connections=connections,
        windows=tuple(reading.window for reading in readings),
    )


def boundary(readings: Sequence[Reading]) -> str:
    """What is inside, in words: a meter that cannot tell processes apart has the client in it too."""
    energy = readings[0].energy
    if energy.scope == "processes":
        return (
            "the server's processes, its log of answers and its file of observations written: no client, no network "
            f"card; what the idle server uses is taken off; {energy.boundary}"
        )
    return (
        f"{energy.boundary}; the client runs on the same machine and is inside; what the machine draws with the server "
        "idle is taken off"
    )
