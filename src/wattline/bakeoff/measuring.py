"""Latency, throughput and energy of all models in turns: what disturbs the machine disturbs them all."""

import hashlib
import platform
from collections.abc import Callable, Mapping
from typing import TypeVar

from wattline import environment, files
from wattline.bakeoff.record import Inputs, Versus
from wattline.bakeoff.workspace import Workspace, folder
from wattline.energy import meters
from wattline.energy.meters import MeterError
from wattline.errors import WattlineError
from wattline.measuring import latency, taking, turns
from wattline.measuring.comparing import read_rows
from wattline.measuring.turns import Turns
from wattline.params import Params
from wattline.progress import progress
from wattline.records import Performance, Record
from wattline.serving.inference.engine import Engine


class Measured(Record):
    """One session.

    inputs: digest of models, rows, knobs, code and machine
    performances: model -> what it costs
    turns: everything that the meter read; None where there was nothing to measure
    failures: model -> why it could not be measured
    """

    inputs: str
    performances: Mapping[str, Performance] = {}
    turns: Turns | None = None
    failures: Mapping[str, str] = {}


AnyHeld = TypeVar("AnyHeld", Measured, Versus)


def measured(places: Mapping[str, Workspace], loaded: Params, shared: Inputs) -> Measured:
    """The session with these models: the one that was held before where there was one, or a new one.

    Raises MeterError or BrokenError when the session says nothing.
    """
    if not places:
        return Measured(inputs="")
    block = loaded.block
    inputs = identity(places, block.measure, block.energy, loaded.seed, shared)
    return remembered("measured", Measured, inputs, lambda: _session(inputs, places, loaded))


def remembered(what: str, kind: type[AnyHeld], inputs: str, hold: Callable[[], AnyHeld]) -> AnyHeld:
    """What was found out with the same inputs before, or is now.

    what: begins the name of the file that keeps it
    """
    path = folder() / f"{what}-{inputs[:16]}.json"
    try:
        before = files.read_record(path, kind)
        if before.inputs == inputs:
            return before
    except WattlineError:
        pass  # there is none, or it cannot be read
    record = hold()
    files.write_text(path, record.to_json())
    return record


def identity(places: Mapping[str, Workspace], *knobs: object) -> str:
    """Digest of all that figures of these models depend on, this machine included."""
    candidates = sorted(f"{name} {files.directory_digest(place.candidate)}" for name, place in places.items())
    parts = [*candidates, *map(str, knobs), platform.node(), environment.machine()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _session(inputs: str, places: Mapping[str, Workspace], loaded: Params) -> Measured:
    block, rows, device = loaded.block, read_rows(), loaded.serving.batching.device
    with progress("measure") as say:
        taken = taking.take(
            {name: place.candidate for name, place in places.items()},
            rows,
            meter=meters.choose(block.energy, device=device),
            measure=block.measure,
            seed=loaded.seed,
            say=say,
            device=device,
        )
    engines = {name: Engine(places[name].candidate, device=device) for name in taken.rounds[0].order}
    work = {name: latency.sample(engine, rows.test, rows.columns, block.measure) for name, engine in engines.items()}
    speed = latency.take_turns(engines, work, block.measure)
    performances, failures = {}, dict(taken.failures)
    for name, engine in sorted(engines.items()):
        try:
            performances[name] = _performance(engine, speed[name], taken, name)
        except MeterError as error:
            failures[name] = str(error)
    return Measured(inputs=inputs, performances=performances, turns=taken, failures=failures)


def _performance(engine: Engine, speed: latency.Turns, taken: Turns, name: str) -> Performance:
    """Raises MeterError when the meter did not count for this model."""
    return latency.performance(
        engine.candidate.digest,
        speed,
        batch=taken.requests.batch,
        energy_per_1000=turns.per_1000(taken, name),
        idle_share=turns.idle_share(taken, name),
    )
