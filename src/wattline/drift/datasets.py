"""One dataset held against another: the rows of units that both have, and those of units that are new."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wattline.drift.columns import drift, judged, said
from wattline.drift.folders import Folder, Span, read
from wattline.drift.records import DatasetDrift, Drift, Outcome, Verdict
from wattline.drift.rows import Rows
from wattline.errors import InputError
from wattline.params.monitoring import DriftParams
from wattline.records import Column

FEWEST_UNITS = 5
"""Units of the reference from which one can tell how far units differ from each other."""
SMALL_SHARE = 0.01
"""Share of the rows that need not be judged."""


@dataclass(frozen=True)
class Compared:
    """What was found, and the rows that it was found in."""

    found: DatasetDrift
    reference: Rows
    current: Rows


def compare(
    reference: Folder,
    current: Folder,
    params: DriftParams,
    *,
    seed: int,
    columns: Sequence[str] = (),
    spans: tuple[Span, Span] = (Span(), Span()),
) -> Compared:
    """Hold `current` against `reference`, in `columns` alone where some are named.

    spans: of the reference and of the current rows
    Raises InputError when their columns are not the same ones in the same units, or one of both has no rows.
    """
    wanted = chosen(reference, current, columns)
    before, about_reference = read(reference, wanted, spans[0])
    now, about_current = read(current, wanted, spans[1])
    verdicts = tuple(_verdicts(before, now, params, {column.name: column.unit for column in wanted}, seed=seed))
    found = DatasetDrift(
        outcome=_outcome(verdicts),
        reference=about_reference,
        current=about_current,
        risk=params.risk,
        splits=params.splits,
        maximum_share=params.maximum_share,
        seed=seed,
        verdicts=verdicts,
        appeared=tuple(unit for unit in now.values if unit not in before.values),
        vanished=tuple(unit for unit in before.values if unit not in now.values),
    )
    return Compared(found, before, now)


def chosen(reference: Folder, current: Folder, names: Sequence[str]) -> tuple[Column, ...]:
    """Columns to compare, in the order of the reference. Raises InputError naming the first that does not fit."""
    before = {column.name: column for column in reference.columns}
    now = {column.name: column.unit for column in current.columns}
    wanted = list(names) or [*before, *(name for name in now if name not in before)]
    for name in wanted:
        for known, folder in ((before, reference), (now, current)):
            if name not in known:
                raise InputError(
                    f"column {name!r} is not in the {folder.kind} of {folder.name}; its columns: "
                    f"{', '.join(known)}; name those of both with --columns"
                )
        if before[name].unit != now[name]:
            raise InputError(
                f"column {name!r} is in {before[name].unit} in the reference and in {now[name]} in the current rows; "
                "take one of them again in the unit of the other"
            )
    return tuple(column for name, column in before.items() if name in set(wanted))


def _verdicts(before: Rows, now: Rows, params: DriftParams, units: dict[str, str], *, seed: int) -> Iterator[Verdict]:
    """One verdict for units of both, one for new units. Two questions share the risk of a false alarm."""
    new = now.of([unit for unit in now.values if unit not in before.values])
    both = now.of([unit for unit in now.values if unit in before.values])
    shared = params.model_copy(update={"risk": params.risk / 2}) if len(new) and len(both) else params
    if len(both):
        minimum = params.minimum_rows
        found = drift(before, both, shared, units=units, minimum=minimum, seed=seed)
        reason = _reason(found, minimum)
        yield Verdict(of="units of both", outcome=_judged(found, shared), reason=reason, drift=found)
    if len(new):
        yield _of_new_units(before, new, shared, units, seed=seed)


def _of_new_units(before: Rows, new: Rows, params: DriftParams, units: dict[str, str], *, seed: int) -> Verdict:
    if len(before.values) < FEWEST_UNITS:
        counted = Drift(rows=len(new), reference_rows=len(before), units=len(new.values), unknown_rows=0)
        return Verdict(of="new units", outcome="unknown", reason=_too_few(before), drift=counted)
    minimum = params.minimum_rows
    found = drift(before, new, params, units=units, minimum=minimum, seed=seed, same_units=False)
    return Verdict(of="new units", outcome=_judged(found, params), reason=_reason(found, minimum), drift=found)


def _judged(found: Drift, params: DriftParams) -> Outcome:
    return "drifted" if (outcome := judged(found, params)) == "alarm" else outcome


def _reason(found: Drift, minimum: int) -> str:
    counts = f"{found.rows:,} rows of {found.units:,} units against {found.reference_rows:,} of the reference"
    if not found.columns:
        return f"{counts}: {minimum} of both are needed"
    return f"{said(found)}; {counts}"


def _too_few(before: Rows) -> str:
    return (
        f"the reference has {len(before.values)} units, from which one cannot tell how far units differ: "
        f"{FEWEST_UNITS} are needed to judge new ones"
    )


def _outcome(verdicts: Sequence[Verdict]) -> Outcome:
    """A part that could not be judged is no quiet one, unless it is too small to matter beside one that was judged."""
    outcomes = [verdict.outcome for verdict in verdicts]
    if "drifted" in outcomes:
        return "drifted"
    rows = sum(verdict.drift.rows for verdict in verdicts)
    unjudged = sum(verdict.drift.rows for verdict in verdicts if verdict.outcome == "unknown")
    return "unknown" if unjudged > SMALL_SHARE * rows else "quiet"
