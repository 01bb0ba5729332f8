"""Did what is served drift away from what the champion was trained on?"""

import numpy as np

from wattline.monitoring.records import ColumnDrift, Drift, Signal
from wattline.monitoring.rows import Rows
from wattline.monitoring.stuck import stuck
from wattline.monitoring.two_sample import Comparison, compare
from wattline.params.monitoring import DriftParams, SignalName
from wattline.task import FloatArray

NAMED = 5
"""Columns that a sentence names."""


def drift(
    reference: Rows, served: Rows, params: DriftParams, *, units: dict[str, str], minimum: int, seed: int
) -> Drift:
    """Hold the rows of trained units against the reference. With fewer than `minimum` of them no column is compared.

    units: column -> unit of measure of its values
    """
    common = served.of([unit for unit in served.values if unit in reference.values])
    known = reference.of(list(common.values))
    counted = Drift(
        rows=len(common), reference_rows=len(known), units=len(common.values), unknown_rows=len(served) - len(common)
    )
    if min(len(common), len(known)) < minimum:
        return counted
    result = compare(known, common, splits=params.splits, risk=params.risk, seed=seed)
    columns = _columns(known, common, result, stuck(known, common, risk=params.risk), units)
    return counted.model_copy(update={"columns": columns})


def signal(name: SignalName, found: Drift, params: DriftParams, *, minimum: int, what: str) -> Signal:
    """The answer to: has more than the allowed share of the columns drifted?

    what: "rows" or "answers", of which there must be `minimum`
    """
    beside = f", {found.unknown_rows} more of units that it was not trained on" if found.unknown_rows else ""
    if not found.columns:
        scarce = f"{found.rows} {what} of trained units{beside}, {found.reference_rows} of the reference"
        return Signal(
            name=name, outcome="unknown", lacking="too few samples", reason=f"{scarce}: {minimum} of both are needed"
        )
    limit = params.maximum_share if len(found.columns) > 1 else 0.0
    alarm = found.share > limit
    said = f"{len(found.drifted)} of {len(found.columns)} columns drifted" + _named(found)
    return Signal(
        name=name,
        outcome="alarm" if alarm else "quiet",
        value=found.share,
        limit=limit,
        reason=f"{said}; {found.rows} {what} of {found.units} units against {found.reference_rows}{beside}",
    )


def _named(found: Drift) -> str:
    worst = sorted((column for column in found.columns if column.drifted), key=lambda one: one.limit - one.distance)
    texts = [f"{one.name} ({_change(one)})" for one in worst[:NAMED]]
    return f": {', '.join(texts)}{', ...' if len(worst) > NAMED else ''}" if texts else ""


def _change(one: ColumnDrift) -> str:
    if one.stuck:
        return f"stuck in {', '.join(one.stuck[:NAMED])}"
    if one.missing - one.reference_missing > one.limit:
        return f"{one.missing:.0%} missing, were {one.reference_missing:.0%}"
    return f"median {one.median:.4g} {one.unit}, was {one.reference_median:.4g}"


def _columns(
    reference: Rows, served: Rows, result: Comparison, stuck_in: dict[str, tuple[str, ...]], units: dict[str, str]
) -> tuple[ColumnDrift, ...]:
    before, now = reference.pooled(), served.pooled()
    return tuple(
        ColumnDrift(
            name=name,
            unit=units[name],
            drifted=bool(result.distances[place] > result.limits[place]) or name in stuck_in,
            distance=min(1.0, float(result.distances[place])),
            limit=float(result.limits[place]),
            stuck=stuck_in.get(name, ()),
            missing=float(np.isnan(now[:, place]).mean()),
            reference_missing=float(np.isnan(before[:, place]).mean()),
            median=_median(now[:, place]),
            reference_median=_median(before[:, place]),
        )
        for place, name in enumerate(served.names)
    )


def _median(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
