"""Evidently's summary of the later part of the rows beside the earlier part."""

import re
from collections.abc import Sequence

import numpy as np

from wattline.quality.profile import Sample
from wattline.quality.quiet import quiet

# Evidently numbers the parts of a page at random.
RANDOM_ID = re.compile(r"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})(?![0-9a-z])")


def render(sample: Sample, names: Sequence[str]) -> str | None:
    """HTML page that needs no network; None when a part has no rows, or no column is recorded in both.

    Columns that one of the parts never recorded are left out.
    """
    import pandas

    parts = [pandas.DataFrame(sample.values[kept], columns=list(names)) for kept in (sample.later, ~sample.later)]
    common = [name for name in names if all(part[name].notna().any() for part in parts)]
    if not common:
        return None
    with quiet(), np.errstate(all="ignore"):
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataSummaryPreset

        definition = DataDefinition(numerical_columns=common)
        current, reference = (Dataset.from_pandas(part[common], data_definition=definition) for part in parts)
        page = Report([DataSummaryPreset()]).run(current, reference).get_html_str(as_iframe=False)
    return numbered(page)


def numbered(page: str) -> str:
    """`page` with its random identifiers replaced by counted ones, in order of appearance."""
    known: dict[str, str] = {}
    return RANDOM_ID.sub(lambda match: known.setdefault(match[0], f"{len(known):032x}"), page)
