"""Jobs as units: the power of each over its run time, and the energy until then."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from wattline.records import Column
from wattline.sources import local_files
from wattline.sources.checks import UNIT_NAME
from wattline.sources.jobs.table import Form, Jobs, read
from wattline.sources.leftovers import handed_on
from wattline.sources.metrics import Text
from wattline.sources.source import Source, UnitSeries
from wattline.task import Series

POWER, ENERGY = "power", "energy"


class Options(Form):
    """Which jobs of which tables.

    path: a file, a folder or a pattern of Parquet files
    states: how jobs must have ended, e.g. COMPLETED; empty: however
    minimum_samples: jobs with fewer are left out and counted
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    path: Text
    states: tuple[Text, ...] = ()
    minimum_samples: int = Field(default=2, ge=2)
    name: Text = "jobs"
    licence: Text = "internal"
    citation: Text = "jobs of our own cluster"


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Find the tables. Their jobs are read a few thousand at a time."""
    paths = local_files.find(options.path, suffix=".parquet")
    left_over = Counter[str]()
    return Source(
        name=options.name,
        home="local",
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.cadence_seconds,
        columns=(
            Column(name=POWER, unit="W", description="power of the whole job"),
            Column(name=ENERGY, unit="J", description="energy since the first sample; nothing is added across a gap"),
        ),
        labelled=False,
        units=handed_on(
            _units(paths, options, left_over),
            left_over,
            asked=options.path,
            remedy="correct ingest.options in params.yaml",
        ),
        files=local_files.describe(paths),
        notes=("a unit is a job, and its group how it ended",),
    )


def _units(paths: tuple[Path, ...], options: Options, left_over: Counter[str]) -> Iterator[UnitSeries]:
    for path in paths:
        for jobs in read(path, options):
            left_over.update(jobs.refused)
            for place in range(len(jobs.ids)):
                if options.states and jobs.states[place] not in options.states:
                    continue
                if not UNIT_NAME.fullmatch(jobs.ids[place]):
                    left_over["a job's id cannot be a file name"] += 1
                elif unit := _unit(jobs, place, options):
                    yield unit
                else:
                    left_over["a job with too few samples"] += 1


def _unit(jobs: Jobs, place: int, options: Options) -> UnitSeries | None:
    watts = jobs.watts[jobs.offsets[place] : jobs.offsets[place + 1]]
    known = np.flatnonzero(~np.isnan(watts))
    if len(known) < options.minimum_samples:
        return None
    steps = (watts[:-1] + watts[1:]) / 2 * options.cadence_seconds
    joules = np.concatenate([[0.0], np.cumsum(np.nan_to_num(steps))])
    instants = jobs.starts[place] + np.round(known * options.cadence_seconds * 1e9).astype(np.int64)
    series = Series(
        unit=f"job-{jobs.ids[place]}",
        group=jobs.states[place] or f"job-{jobs.ids[place]}",
        timestamps=instants.astype("datetime64[ns]"),
        values=np.stack([watts[known], joules[known]], axis=1).astype(np.float32),
        target=np.full(len(known), np.nan),
    )
    return UnitSeries(series, (POWER, ENERGY))
