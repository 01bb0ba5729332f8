"""The page of `profile`: figures of every column, and what was drawn."""

from collections.abc import Iterator, Sequence
from html import escape

from wattline.quality import page, unit_table
from wattline.quality.profile import FIGURES, Profile, UnitProfile
from wattline.records import Dataset

HEADS = (
    ("column", ""),
    ("unit", ""),
    ("values", "number"),
    ("missing", "number"),
    ("missing", "number"),
    *((name.replace("_", " "), "number") for name in FIGURES),
    ("description", ""),
)


def render(dataset: Dataset, profile: Profile, units: Sequence[UnitProfile], *, comparison: str | None) -> str:
    """HTML page beside `overview.png` and `units.csv`.

    comparison: file name of the comparison of both parts, if there is one
    """
    link = f'<p><a href="{escape(comparison)}">{_later(dataset)}</a> {_sampled(profile)}</p>' if comparison else ""
    return page.page(
        f"Profile of {dataset.name}: {profile.rows:,} rows of {len(dataset.units):,} units",
        page.paragraph(
            f"One row every {dataset.cadence_seconds:g} s, {_span(dataset)}. Counts, mean, standard deviation and "
            f"extremes rest on all rows, quantiles on {_rows_of(profile)}."
        ),
        link,
        "<h2>Columns</h2>",
        page.table(HEADS, _rows(dataset, profile)),
        "<h2>Units</h2>",
        unit_table.render(dataset, units),
        "<h2>Over time</h2>",
        '<img src="overview.png" alt="Every column of a few units over time">',
        footer=f"{dataset.home}. {dataset.licence}. {dataset.citation}. Dataset {profile.data[:12]}.",
    )


def _span(dataset: Dataset) -> str:
    start, end = min(unit.start for unit in dataset.units), max(unit.end for unit in dataset.units)
    return f"{start:%Y-%m-%d} to {end:%Y-%m-%d} UTC"


def _later(dataset: Dataset) -> str:
    later, earlier = (
        ("Test part", "the rows before it") if dataset.units[0].test_start else ("Second half", "the first")
    )
    return f"{later} (current) beside {earlier} (reference), column by column"


def _rows_of(profile: Profile) -> str:
    if profile.sampled_rows == profile.rows:
        return "all rows, too"
    return f"{profile.sampled_rows:,} rows evenly spread over units and time"


def _sampled(profile: Profile) -> str:
    """Which rows the comparison counts."""
    earlier = profile.sampled_rows - profile.later_rows
    what = "all rows" if profile.sampled_rows == profile.rows else "the same sample"
    return f"(interactive, by Evidently, on {what}: {profile.later_rows:,} rows beside {earlier:,})"


def _rows(dataset: Dataset, profile: Profile) -> Iterator[list[str]]:
    for column in dataset.columns:
        figures = profile.columns[column.name]
        yield [
            escape(column.name),
            escape(column.unit),
            f"{figures.values:,}",
            f"{figures.missing:,}",
            f"{figures.missing_share:.2%}",
            *(f"{getattr(figures, name):.4g}" for name in FIGURES),
            escape(column.description),
        ]
