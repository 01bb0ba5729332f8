"""profile: what the raw rows look like, in figures and pictures."""

from wattline import files, splits
from wattline.params import ProfileParams
from wattline.quality import comparison, plots, summary, unit_table
from wattline.quality.profile import profiled

PAGE = files.REPORTS / "profile" / "index.html"
OVERVIEW, COMPARISON, UNITS = "overview.png", "comparison.html", "units.csv"


def run(*, profile: ProfileParams) -> None:
    """Write reports/profile.json, its page, figures of each unit, the overview and the comparison of parts."""
    dataset = splits.read_dataset()
    figures, units, sample = profiled(dataset, rows=profile.rows)
    compared = comparison.render(sample, [column.name for column in dataset.columns])
    shown = [splits.read_raw(dataset, name) for name in plots.shown_units(dataset)]
    with files.replace_directory(PAGE.parent) as folder:
        files.write_bytes(folder / OVERVIEW, plots.overview(dataset, shown))
        if compared is not None:
            files.write_text(folder / COMPARISON, compared)
        files.write_text(folder / UNITS, unit_table.csv(dataset, units))
        page = summary.render(dataset, figures, units, comparison=COMPARISON if compared is not None else None)
        files.write_text(folder / PAGE.name, page)
    files.write_report("profile", figures)
