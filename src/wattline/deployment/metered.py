"""Energy of a running container, read around the load, what it draws without requests taken off."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from wattline.deployment.load import PATH, Client, Outcome
from wattline.energy.meters import Meter
from wattline.errors import InputError
from wattline.measuring.serving.net import net
from wattline.measuring.serving.turns import Reading, idle, reading
from wattline.params import LoadParams
from wattline.records import Energy

SERVER = "the container's processes and what they write to their log: no client, no network card"


@dataclass
class Session:
    """All readings, and what was asked in them."""

    readings: list[Reading] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def energy(self) -> Energy:
        """Energy of 1,000 predictions, one window in each request. Raises InputError where it is lost in idling."""
        return net(self.readings, PATH, per=1000, boundary=_boundary(self.readings))


def run(client: Client, meter: Meter, load: LoadParams, *, settle_seconds: float) -> Session:
    """Idle, a window under full load, idle, and so on.

    settle_seconds: how long answers may take to be in the server's log, which belongs to what they cost [s]
    Raises InputError when the meter stops working, or no request at all is answered rightly.
    """
    session = Session()
    count = _enough(client, meter, load)
    session.readings.append(idle(meter, seconds=load.idle_seconds))
    for _ in range(load.repeats):
        meter.start()
        outcome = client.busy(count, connections=load.connections)
        time.sleep(settle_seconds)
        energy = meter.stop()
        session.outcomes.append(outcome)
        answered = _answered(outcome)
        session.readings.append(reading(PATH, energy, requests=answered, sending_seconds=outcome.seconds))
        session.readings.append(idle(meter, seconds=load.idle_seconds))
    return session


def _enough(client: Client, meter: Meter, load: LoadParams) -> int:
    """Requests, `load.requests` or more, that last as long as the meter needs once the server is warm."""
    first = client.busy(load.requests, connections=load.connections)
    _answered(first)
    if first.seconds >= meter.minimum_seconds:
        return load.requests
    return round(load.requests * 1.2 * meter.minimum_seconds / first.seconds)


def _answered(outcome: Outcome) -> int:
    """How many requests were answered rightly. Raises InputError for none: no energy can be shared among them."""
    if not outcome.latencies_ms:
        raise InputError(f"none of {outcome.requests} requests was answered rightly: {outcome.problems[0]}")
    return len(outcome.latencies_ms)


def _boundary(readings: Sequence[Reading]) -> str:
    """What is inside, in words: a meter that cannot tell processes apart has the client in it too."""
    energy = readings[0].energy
    if energy.scope == "processes":
        return f"{SERVER}; what the idle container uses is taken off; {energy.boundary}"
    return (
        f"{energy.boundary}; the client runs on the same machine and is inside; what the machine draws with the "
        "container idle is taken off"
    )
