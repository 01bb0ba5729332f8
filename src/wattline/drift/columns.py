"""Which columns drifted, and how one can see it."""

from typing import Literal

import numpy as np

from wattline.drift.records import ColumnDrift, Drift
from wattline.drift.rows import Rows
from wattline.drift.stuck import stuck
from wattline.drift.two_sample import Comparison, compare
from wattline.params.monitoring import DriftParams
from wattline.task import FloatArray

NAMED = 5
"""Columns that a sentence names."""


def drift(
    reference: Rows,
    sample: Rows,
    params: DriftParams,
    *,
    units: dict[str, str],
    minimum: int,
    seed: int,
    same_units: bool = True,
) -> Drift:
    """Hold rows against those of the reference. With fewer than `minimum` of them no column is compared.

    units: column -> unit of measure of its values
    same_units: units that the reference does not have are only counted; otherwise all are held against all of it
    """
    common = sample.of([unit for unit in sample.values if unit in reference.values]) if same_units else sample
    known = reference.of(list(common.values)) if same_units else reference
    counted = Drift(
        rows=len(common), reference_rows=len(known), units=len(common.values), unknown_rows=len(sample) - len(common)
    )
    if min(len(common), len(known)) < minimum:
        return counted
    result = compare(known, common, splits=params.splits, risk=params.risk, seed=seed, same_units=same_units)
    silent = stuck(known, common, risk=params.risk) if same_units else {}
    return counted.model_copy(update={"columns": _columns(known, common, result, silent, units)})


def judged(found: Drift, params: DriftParams) -> Literal["alarm", "quiet", "unknown"]:
    """Has more than the allowed share of the columns drifted? Of a single column none may."""
    if not found.columns:
        return "unknown"
    return "alarm" if found.share > allowed(found, params) else "quiet"


def allowed(found: Drift, params: DriftParams) -> float:
    """Share of the columns that may have drifted."""
    return params.maximum_share if len(found.columns) > 1 else 0.0


def said(found: Drift) -> str:
    """How many columns drifted, and the worst of them."""
    worst = sorted((column for column in found.columns if column.drifted), key=lambda one: one.limit - one.distance)
    texts = [f"{one.name} ({_change(one)})" for one in worst[:NAMED]]
    named = f": {', '.join(texts)}{', ...' if len(worst) > NAMED else ''}" if texts else ""
    return f"{len(found.drifted)} of {len(found.columns)} columns drifted{named}"


def _change(one: ColumnDrift) -> str:
    if one.stuck:
        return f"stuck in {', '.join(one.stuck[:NAMED])}"
    if one.missing - one.reference_missing > one.limit:
        return f"{one.missing:.0%} missing, were {one.reference_missing:.0%}"
    unit = "" if one.unit == "1" else f" {one.unit}"
    return f"median {one.median:.4g}{unit}, was {one.reference_median:.4g}"


def _columns(
    reference: Rows, sample: Rows, result: Comparison, stuck_in: dict[str, tuple[str, ...]], units: dict[str, str]
) -> tuple[ColumnDrift, ...]:
    before, now = reference.pooled(), sample.pooled()
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
        for place, name in enumerate(sample.names)
    )


def _median(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
