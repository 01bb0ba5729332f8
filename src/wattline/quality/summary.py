"""The page of `profile`: figures of every column, and what was drawn."""

from collections.abc import Iterator
from html import escape

from wattline.quality import page
from wattline.quality.profile import Profile
from wattline.records import Dataset

FIGURES = ("mean", "standard_deviation", "minimum", "p01", "p50", "p99", "maximum")
HEADS = (
    ("column", ""),
    ("unit", ""),
    *((name.replace("_", " "), "number") for name in FIGURES),
    ("missing", "number"),
    ("description", ""),
)


def render(dataset: Dataset, profile: Profile, *, comparison: str | None) -> str:
    """HTML page beside `overview.png`.

    comparison: file name of the comparison of both parts, if there is one
    """
    link = f'<p><a href="{escape(comparison)}">{_later(dataset)}</a> (interactive)</p>' if comparison else ""
    return page.page(
        f"Profile of {dataset.name}: {profile.rows:,} rows of {len(dataset.units):,} units",
        page.paragraph(
            f"One row every {dataset.cadence_seconds:g} s, {_span(dataset)}. Mean, standard deviation, extremes "
            f"and missing share rest on all rows, quantiles on {profile.sampled_rows:,} rows evenly spread over units "
            "and time."
        ),
        link,
        "<h2>Columns</h2>",
        page.table(HEADS, _rows(dataset, profile)),
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


def _rows(dataset: Dataset, profile: Profile) -> Iterator[list[str]]:
    for column in dataset.columns:
        figures = profile.columns[column.name]
        yield [
            escape(column.name),
            escape(column.unit),
            *(f"{getattr(figures, name):.4g}" for name in FIGURES),
            f"{figures.missing_share:.2%}",
            escape(column.description),
        ]
