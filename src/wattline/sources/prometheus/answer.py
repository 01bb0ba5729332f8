"""Prometheus' answers as samples of units: what cannot be true is not taken, and counted by reason."""

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.sources import epochs
from wattline.sources.channels import Channel
from wattline.sources.checks import UNIT_NAME
from wattline.sources.readings import LARGEST, NOT_FINITE, TOO_LARGE

UNIT = "the unit's name cannot be a file name"

log = logging.getLogger(__name__)


@dataclass
class Samples:
    """What one answer about one column holds.

    channels: unit -> its samples; groups: unit -> value of the label that names its rack, where it has one
    refused: unit -> reason -> samples that were not taken; series: how many there were
    """

    channels: dict[str, Channel] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Counter[str]] = field(default_factory=dict)
    series: int = 0


@dataclass(frozen=True)
class Reading:
    """How an answer is read. `Options` says what most of the fields mean.

    now: instant of the question [s since 1970]
    """

    column: str
    unit_label: str
    unit_pattern: str
    group_label: str | None
    accept_warnings: bool
    now: float


def result(content: Any, kind: str, *, where: str, accept_warnings: bool) -> Any:
    """What an answer of type `kind` holds. Raises InputError for another form, and for one that may be incomplete."""
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict) or content.get("status") != "success":
        raise _malformed(where, "there is no data")
    warnings = content.get("warnings") or []
    if warnings and not accept_warnings:
        raise InputError(
            f"the answer for {where} comes with a warning and may be incomplete: {str(warnings[0])[:200]}; see to the "
            "server, or set `accept_warnings`"
        )
    for told in (*warnings, *(content.get("infos") or [])):
        log.warning("%s: %s", where, told)
    if data.get("resultType") != kind:
        raise InputError(f"{where} gives a {data.get('resultType')}, a {kind} is needed; correct its query")
    return data.get("result")


def samples(content: Any, reading: Reading) -> Samples:
    """Read an answer of `query_range`. NaN is a sample that nobody recorded.

    Raises InputError for another form, a series without a unit, and two series of one unit at one instant.
    """
    where = f"column {reading.column!r}"
    series = result(content, "matrix", where=where, accept_warnings=reading.accept_warnings)
    if not isinstance(series, list):
        raise _malformed(where, "there is no list of series")
    found = Samples(series=len(series))
    labels: dict[str, Mapping[str, str]] = {}
    for one in series:
        metric = one.get("metric") if isinstance(one, dict) else None
        if not isinstance(metric, dict):
            raise _malformed(where, "a series has no labels")
        unit = _unit(metric, reading)
        refused = found.refused.setdefault(unit, Counter())
        instants, values = _channel(one, refused, where=where, now=reading.now)
        if not UNIT_NAME.fullmatch(unit):
            refused[UNIT] += len(instants)
            continue
        if unit in found.channels:
            before = found.channels[unit]
            _check_apart(before[0], instants, (labels[unit], metric), unit, reading)
            instants, values = np.concatenate([before[0], instants]), np.concatenate([before[1], values])
        found.channels[unit], labels[unit] = (instants, values), metric
        if reading.group_label and metric.get(reading.group_label):
            found.groups[unit] = metric[reading.group_label]
    return found


def _unit(metric: Mapping[str, Any], reading: Reading) -> str:
    value = metric.get(reading.unit_label)
    if not isinstance(value, str):
        raise InputError(
            f"column {reading.column!r} has a series without label {reading.unit_label!r}, which would name its unit: "
            f"{_told(metric)}; aggregate by ({reading.unit_label}), or choose another `unit_label`"
        )
    found = re.fullmatch(reading.unit_pattern, value)
    return found.group(1) or value if found else value


def _channel(series: Mapping[str, Any], refused: Counter[str], *, where: str, now: float) -> Channel:
    if "histograms" in series:
        raise InputError(f"{where} is a native histogram; ask for a number of it, e.g. histogram_avg(...)")
    try:
        pairs = [(float(instant), value) for instant, value in series["values"]]
        if not all(isinstance(value, str) for _, value in pairs):
            raise ValueError
        values = np.array([value for _, value in pairs], dtype=np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _malformed(where, "a series has no list of instants and numbers") from None
    instants = epochs.nanoseconds([instant for instant, _ in pairs], unit="s", where=where, now=now)
    refused.update(instants.refused)
    values = values[instants.taken]
    reasons = {NOT_FINITE: np.isinf(values), TOO_LARGE: np.isfinite(values) & (np.abs(values) > LARGEST)}
    refused.update({reason: int(wrong.sum()) for reason, wrong in reasons.items() if wrong.any()})
    kept = np.isfinite(values) & (np.abs(values) <= LARGEST)
    return instants.instants[kept], values[kept]


def _check_apart(
    before: NDArray[np.int64],
    instants: NDArray[np.int64],
    labels: tuple[Mapping[str, str], Mapping[str, str]],
    unit: str,
    reading: Reading,
) -> None:
    """Labels may change from one instant to the next. At one instant, a unit has one value."""
    if len(np.intersect1d(before, instants)):
        first, second = labels
        apart = {name: value for name, value in second.items() if first.get(name) != value} or second
        raise InputError(
            f"column {reading.column!r} has more than one series for {unit}, another one is {_told(apart)}; aggregate "
            f"them, e.g. with max by ({reading.unit_label}) (...)"
        )


def _told(labels: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}={str(value)[:60]!r}" for name, value in list(labels.items())[:6]) + "}"


def _malformed(where: str, what: str) -> InputError:
    return InputError(
        f"the answer for {where} does not look like Prometheus': {what}; check ingest.options.prometheus.url"
    )
