"""What was found, as lines, as a record and as a page that needs no network."""

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

from wattline import charts, files
from wattline.drift.datasets import Compared
from wattline.drift.records import ColumnDrift, DatasetDrift, Outcome, Side, Verdict
from wattline.quality import page

RECORD, PAGE = "drift.json", "index.html"
FOLDER = files.REPORTS / "drift"
EXIT_CODES = {"quiet": 0, "drifted": 1, "unknown": 3}
SAID = {"quiet": "no drift", "drifted": "drifted", "unknown": "no answer"}
BADGES = {"quiet": "met", "drifted": "critical", "unknown": "warning"}
DRAWN = 6
NAMED = 12
"""Units that a sentence names."""
HEADS = (
    ("", ""),
    ("column", ""),
    ("unit", ""),
    ("distance", "number"),
    ("limit", "number"),
    ("median", "number"),
    ("was", "number"),
    ("missing", "number"),
    ("was", "number"),
    ("stuck in", ""),
)


def write(compared: Compared, *, folder: Path = FOLDER) -> None:
    """Write drift.json and index.html into `folder`."""
    text = render(compared)
    files.write_text(folder / RECORD, compared.found.to_json())
    files.write_text(folder / PAGE, text)


def lines(found: DatasetDrift) -> list[str]:
    """Both sides, one line for each comparison, the answer."""
    said = [
        f"reference    {_side(found.reference)}",
        f"current      {_side(found.current)}",
        *(f"{verdict.of:<16} {verdict.outcome:<8} {verdict.reason}" for verdict in found.verdicts),
    ]
    said += [f"{word:<16} {_units(units)}" for word, units in _changes(found)]
    return [*said, f"answer       {SAID[found.outcome]}, {_promise(found)}"]


def render(compared: Compared) -> str:
    """The page, with its picture in it."""
    found = compared.found
    parts = [page.paragraph(f"{name}: {_side(side)}.") for name, side in _sides(found)]
    parts += [page.paragraph(f"Units that {word}: {_units(units)}.") for word, units in _changes(found)]
    for verdict in found.verdicts:
        parts += [
            f"<h2>{escape(verdict.of.capitalize())}</h2>",
            f"<p>{_badge(verdict.outcome)} {escape(verdict.reason)}</p>",
        ]
        if verdict.drift.columns:
            parts += [_picture(compared, verdict), page.table(HEADS, map(_row, _worst(verdict)))]
    footer = f"Limits from {found.splits} A/A comparisons inside the reference, seed {found.seed}; {_promise(found)}."
    return page.page(f"Drift: {SAID[found.outcome]}", *parts, footer=footer)


def _sides(found: DatasetDrift) -> tuple[tuple[str, Side], ...]:
    return (("Reference", found.reference), ("Current", found.current))


def _side(side: Side) -> str:
    span = f"{side.start:%Y-%m-%d %H:%M} to {side.end:%Y-%m-%d %H:%M} UTC"
    return f"{side.name} {side.data[:12]}, {side.kind}, {side.rows:,} rows of {side.units:,} units, {span}"


def _changes(found: DatasetDrift) -> Iterator[tuple[str, tuple[str, ...]]]:
    for word, units in (("appeared", found.appeared), ("vanished", found.vanished)):
        if units:
            yield word, units


def _units(units: tuple[str, ...]) -> str:
    return f"{len(units):,}: {', '.join(units[:NAMED])}{', ...' if len(units) > NAMED else ''}"


def _promise(found: DatasetDrift) -> str:
    share = f", {found.maximum_share:.0%} of the columns may" if found.maximum_share else ""
    return f"a false alarm of any column has a risk of {found.risk:.1%}{share}"


def _badge(outcome: Outcome) -> str:
    return page.badge(SAID[outcome], BADGES[outcome])


def _worst(verdict: Verdict) -> list[ColumnDrift]:
    return sorted(verdict.drift.columns, key=lambda one: (not one.drifted, one.limit - one.distance))


def _row(column: ColumnDrift) -> list[str]:
    return [
        _badge("drifted") if column.drifted else "",
        page.breakable(column.name),
        escape(column.unit),
        f"{column.distance:.3f}",
        f"{column.limit:.3f}",
        f"{column.median:.4g}",
        f"{column.reference_median:.4g}",
        f"{column.missing:.2%}",
        f"{column.reference_missing:.2%}",
        escape(_units(column.stuck)) if column.stuck else "",
    ]


def _picture(compared: Compared, verdict: Verdict) -> str:
    new = set(compared.found.appeared)
    mine = [unit for unit in compared.current.values if (unit in new) == (verdict.of == "new units")]
    current, reference = compared.current.of(mine).pooled(), compared.reference
    reference = reference if verdict.of == "new units" else reference.of(mine)
    before = reference.pooled()
    places = {name: place for place, name in enumerate(reference.names)}
    drawn = [
        charts.Moved(one.name, one.unit, before[:, places[one.name]], current[:, places[one.name]])
        for one in _worst(verdict)[:DRAWN]
    ]
    distances = {one.name: (one.distance, one.limit, one.drifted) for one in verdict.drift.columns}
    title = f"{len(verdict.drift.drifted)} of {len(distances)} columns drifted, {verdict.of}"
    encoded = base64.b64encode(charts.moved(distances, drawn, title=title)).decode()
    return f'<img alt="{escape(title)}" src="data:image/png;base64,{encoded}">'
