"""What do answers cost in production? The server's own counters, held against the budget and the version's figure."""

import math

from wattline.monitoring.records import Counters, Production, Signal
from wattline.params.monitoring import ProductionEnergyParams
from wattline.records import Energy


def since(now: Counters, before: Counters | None) -> Counters:
    """What was counted after `before`. A counter that went back belongs to a server that was started anew."""
    if before is None or before.provenance != now.provenance:
        return now
    pairs = [
        (getattr(now, name), getattr(before, name)) for name in ("inference_joules", "server_joules", "predictions")
    ]
    if any(new < old for new, old in pairs):
        return now
    inference, server, predictions = (new - old for new, old in pairs)
    return Counters(
        inference_joules=inference, server_joules=server, predictions=predictions, provenance=now.provenance
    )


def production(counted: Counters, *, budget: float, own: Energy | None) -> Production:
    """Energy of 1,000 predictions. budget: [J]; own: of 1,000 predictions of the version, as signed"""
    per_1000 = 1000 / counted.predictions if counted.predictions else math.nan
    return Production(
        predictions=round(counted.predictions),
        inference_per_1000=counted.inference_joules * per_1000,
        server_per_1000=counted.server_joules * per_1000,
        budget_per_1000=budget,
        provenance=counted.provenance,
        own=own,
    )


def signal(found: Production | None, params: ProductionEnergyParams) -> Signal:
    """The answer to: do answers take more than the budget, or many times what the version took when it was judged?

    The second is asked only of figures of the same provenance: an estimate and a counter do not measure the same.
    """
    if found is None:
        reason = "monitoring.energy.metrics names neither the server's /metrics nor a file with what it said"
        return Signal(name="energy", outcome="unknown", lacking="not measured", reason=reason)
    if found.predictions < params.minimum_predictions:
        reason = f"{found.predictions} predictions were counted, {params.minimum_predictions} are needed"
        return Signal(name="energy", outcome="unknown", lacking="too few samples", reason=reason)
    limits = [found.budget_per_1000]
    if found.own is not None and found.own.provenance == found.provenance:
        limits.append(found.own.joules * params.maximum_ratio)
    return Signal(
        name="energy",
        outcome="alarm" if found.inference_per_1000 > min(limits) else "quiet",
        value=found.inference_per_1000,
        limit=min(limits),
        unit="J per 1,000 predictions",
        provenance=found.provenance,
        reason=_said(found),
    )


def _said(found: Production) -> str:
    own = "the version has no signed figure"
    if found.own is not None:
        own = f"the version took {found.own.joules:.3g} J ({found.own.provenance}) when it was judged"
        own += "" if found.own.provenance == found.provenance else ", which is not compared"
    return (
        f"running graphs took {found.inference_per_1000:.3g} J for 1,000 of {found.predictions} predictions, the whole "
        f"server {found.server_per_1000:.3g} J ({found.provenance}); the budget is {found.budget_per_1000:.3g} J, {own}"
    )
