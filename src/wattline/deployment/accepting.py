"""Acceptance: a container that runs shows what it can under load, and what that costs."""

import math
import platform
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wattline import files
from wattline.deployment import container, metered
from wattline.deployment.judging import REPORT, judged_energy, judged_load, judged_smoke
from wattline.deployment.load import Client, Outcome
from wattline.deployment.model import Model, of_image
from wattline.deployment.record import Acceptance, Load
from wattline.deployment.reference import Reference
from wattline.deployment.smoke import smoke
from wattline.deployment.state import Release, now
from wattline.deployment.target import Target, check_key
from wattline.energy import meters
from wattline.errors import InputError
from wattline.measuring.serving.net import idle_watts
from wattline.params import LoadParams
from wattline.records import Energy, ServingWindow

WARM_UP = 50


class Metered(NamedTuple):
    """What the metered windows gave; without a meter the load alone.

    problem: why there is no energy; "" where there is
    """

    outcomes: Sequence[Outcome]
    energy: Energy | None = None
    idle_watts: float = math.nan
    windows: tuple[ServingWindow, ...] = ()
    problem: str = ""


def accept(target: Target) -> Acceptance:
    """Ask the container that runs in this environment, and judge what it shows.

    Raises InputError when nothing runs there, or something else than its state says.
    """
    check_key(target)
    state = target.place.read()
    if state.current is None or state.pending is not None:
        raise InputError(
            f"{target.name} has no finished deployment on this host; run `wattline deploy {target.name} IMAGE`"
        )
    image = Reference.parse(state.current.image)
    running = target.engine.container(target.environment.name)
    wanted = container.fingerprint(container.live(image, target.environment, target.knobs))
    if running is None or not running.runs or running.fingerprint != wanted:
        raise InputError(
            f"container {target.environment.name} does not run {image.short} as params.yaml says; run "
            f"`wattline deploy {target.name} {image}` again"
        )
    with of_image(target.engine, image, target.loaded, name=f"{target.environment.name}-files") as model:
        return _shown(target, model, state.current, process=running.process)


def _shown(target: Target, model: Model, release: Release, *, process: int) -> Acceptance:
    environment, limits, knobs = target.environment, target.knobs.limits, target.knobs.load
    checks = smoke(container.url(environment), model, key=target.key, guarded=bool(environment.keys_file))
    client = Client(container.local_url(environment), model, key=target.key, timeout_seconds=knobs.timeout_seconds)
    client.busy(WARM_UP, connections=1)
    paced = client.paced(knobs.paced_requests, connections=knobs.connections, per_second=knobs.rate_per_second)
    found = _metered(target, client, process=process)
    load = _load(paced, found.outcomes, knobs)
    problem = next((one.problems[0] for one in (paced, *found.outcomes) if one.problems), "")
    energy = judged_energy(found.energy, limits, problem=found.problem)
    return Acceptance(
        environment=target.name,
        release=release,
        at=now(),
        machine=f"{platform.machine()}, {platform.system()}",
        verdicts=(judged_smoke(checks), *judged_load(load, limits, problem=problem), energy),
        load=load,
        energy_per_1000=found.energy,
        idle_watts=found.idle_watts,
        windows=found.windows,
    )


def _metered(target: Target, client: Client, *, process: int) -> Metered:
    """The load with a meter around it; where that gives no figure, the load without one and the reason."""
    block, serving, knobs = target.loaded.block, target.loaded.serving, target.knobs.load
    try:
        meter = meters.choose(block.energy, device=serving.batching.device, root=process)
        session = metered.run(client, meter, knobs, settle_seconds=serving.log.flush_seconds)
    except InputError as error:
        return Metered([client.busy(knobs.requests, connections=knobs.connections)], problem=str(error))
    windows, idle = tuple(one.window for one in session.readings), idle_watts(session.readings)
    try:
        return Metered(session.outcomes, session.energy(), idle, windows)
    except InputError as error:
        return Metered(session.outcomes, None, idle, windows, problem=str(error))


def _load(paced: Outcome, busy: Sequence[Outcome], knobs: LoadParams) -> Load:
    p50, p99 = (float(value) for value in np.quantile(paced.latencies_ms or [math.nan], [0.5, 0.99]))
    every = [paced, *busy]
    return Load(
        p50_ms=p50,
        p99_ms=p99,
        rate_per_second=knobs.rate_per_second,
        throughput_per_second=sum(len(one.latencies_ms) for one in busy) / sum(one.seconds for one in busy),
        connections=knobs.connections,
        requests=sum(one.requests for one in every),
        errors=sum(len(one.problems) for one in every),
    )


def lines(found: Acceptance) -> list[str]:
    """One line for each question, with value, limit and unit."""
    return [
        f"{one.outcome:<6}  {one.name:<10}  {one.value:.4g} {one.unit} (limit {one.limit:.4g}): {one.reason}"
        for one in found.verdicts
    ]


def write(found: Acceptance) -> None:
    """Write the report, also of a container that failed."""
    files.write_text(REPORT, found.to_json())
