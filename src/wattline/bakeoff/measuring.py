"""Latency, throughput and energy of all models in turns: what disturbs the machine disturbs them all."""

import hashlib
import platform
from collections.abc import Mapping

from wattline import files, splits
from wattline.bakeoff.record import Inputs
from wattline.bakeoff.workspace import Workspace, folder
from wattline.errors import WattlineError
from wattline.params import Params
from wattline.records import Performance, Record
from wattline.serving.inference.engine import Engine
from wattline.stages import measure


class Measured(Record):
    """One session.

    inputs: digest of models, rows, knobs, code and machine
    performances: model -> what it costs
    failures: model -> why it could not be measured
    """

    inputs: str
    performances: Mapping[str, Performance]
    failures: Mapping[str, str] = {}


def measured(places: Mapping[str, Workspace], loaded: Params, shared: Inputs) -> Measured:
    """The session with these models: the one that was held before where there was one, or a new one."""
    inputs = _inputs(places, loaded, shared)
    path = folder() / f"measured-{inputs[:16]}.json"
    try:
        before = files.read_record(path, Measured)
        if before.inputs == inputs:
            return before
    except WattlineError:
        pass  # none was held, or its record cannot be read
    engines, failures = _engines(places)
    performances = _in_turns(engines, loaded) if engines else {}
    record = Measured(inputs=inputs, performances=performances, failures=failures)
    files.write_text(path, record.to_json())
    return record


def machine() -> str:
    """What everything ran on, in the words of `measure`."""
    return f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def _engines(places: Mapping[str, Workspace]) -> tuple[dict[str, Engine], dict[str, str]]:
    engines, failures = {}, {}
    for name, place in places.items():
        try:
            engines[name] = Engine(place.candidate)
        except WattlineError as error:
            failures[name] = f"its graph cannot be loaded: {error}"
    return engines, failures


def _in_turns(engines: Mapping[str, Engine], loaded: Params) -> dict[str, Performance]:
    block = loaded.block
    test, columns = splits.read_test(), [column.name for column in splits.read_manifest().columns]
    work = {name: measure.sample(engine, test, columns, block.measure) for name, engine in engines.items()}
    turns = measure.take_turns(engines, work, block.measure, block.energy)
    return {name: measure.performance(engines[name], one, batch=block.measure.batch) for name, one in turns.items()}


def _inputs(places: Mapping[str, Workspace], loaded: Params, shared: Inputs) -> str:
    candidates = sorted(f"{name} {files.directory_digest(place.candidate)}" for name, place in places.items())
    knobs = (loaded.block.measure.model_dump_json(), loaded.block.energy.model_dump_json(), shared.model_dump_json())
    return hashlib.sha256("\n".join([*candidates, *knobs, platform.node(), machine()]).encode()).hexdigest()
