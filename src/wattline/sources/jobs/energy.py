"""Energy of each job: its power integrated over what was sampled, with what was not."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattline import files
from wattline.errors import InputError
from wattline.records import Record
from wattline.sources.jobs.table import Form, Jobs, read

if TYPE_CHECKING:
    import pyarrow

JOULES_PER_MWH = 3.6e9
Method = Literal["trapezoid", "rectangle"]
UNITS = {
    "run_seconds": "s",
    "covered_seconds": "s",
    "joules": "J",
    "joules_estimated": "J",
    "mean_watts": "W",
    "peak_watts": "W",
}


class Consumed(NamedTuple):
    """Of each job, arrays of (jobs,).

    joules: over `covered_seconds`; NaN where nothing is covered
    covered_seconds: of the run time, what samples speak for [s]
    samples, missing: elements of the list that are, and are not, a power
    """

    joules: NDArray[np.float64]
    covered_seconds: NDArray[np.float64]
    mean_watts: NDArray[np.float64]
    peak_watts: NDArray[np.float64]
    samples: NDArray[np.int64]
    missing: NDArray[np.int64]


class Summary(Record):
    """Energy of the jobs of a table.

    jobs: with an energy; without: jobs of which no interval was sampled
    joules: over what was sampled [J]
    joules_estimated: an estimate for the whole run time, each job at the mean power of what was sampled [J]
    covered_share: of the run time of the jobs with an energy
    samples, missing_samples: in the lists of all jobs that could be used
    refused: what was not taken, reason -> count
    """

    jobs: int
    without: int
    joules: float
    joules_estimated: float
    covered_share: float
    samples: int
    missing_samples: int
    method: Method
    refused: Mapping[str, int]


def consumed(jobs: Jobs, *, cadence_seconds: float, method: Method = "trapezoid") -> Consumed:
    """Integrate the power P_0 .. P_(n-1), sampled every c seconds.

    trapezoid: sum of (P_k + P_(k+1)) / 2 * c over neighbours that are both there, so that a gap counts as not covered
    rectangle: sum of P_k * c, each sample speaking for the c seconds after it, the last one until the end of the job
    """
    owners = np.repeat(np.arange(len(jobs.ids)), np.diff(jobs.offsets))
    known = ~np.isnan(jobs.watts)
    if method == "trapezoid":
        pairs = np.flatnonzero(known[:-1] & known[1:] & (owners[:-1] == owners[1:]))
        spans = np.full(len(pairs), cadence_seconds)
        heights = (jobs.watts[pairs] + jobs.watts[pairs + 1]) / 2
        owned = owners[pairs]
    else:
        owned, heights = owners[known], jobs.watts[known]
        since = (np.arange(len(jobs.watts)) - jobs.offsets[owners])[known] * cadence_seconds
        spans = np.clip(jobs.run_seconds[owned] - since, 0, cadence_seconds)
    count = len(jobs.ids)
    covered = np.bincount(owned, spans, minlength=count).astype(np.float64)
    joules = np.bincount(owned, heights * spans, minlength=count)
    samples = np.bincount(owners[known], minlength=count)
    peak = np.full(count, -np.inf)
    np.maximum.at(peak, owners[known], jobs.watts[known])
    with np.errstate(invalid="ignore"):
        mean = joules / covered
    return Consumed(
        joules=np.where(covered > 0, joules, np.nan),
        covered_seconds=covered,
        mean_watts=mean,
        peak_watts=np.where(samples > 0, peak, np.nan),
        samples=samples,
        missing=np.diff(jobs.offsets) - samples,
    )


def run(path: Path, form: Form, *, method: Method = "trapezoid", out: Path | None = None) -> Summary:
    """Energy of all jobs of a table; with `out`, a Parquet file with a row a job.

    Raises InputError when it is no such table, or has no job with an energy.
    """
    import pyarrow

    tables: list[pyarrow.Table] = []
    refused: Counter[str] = Counter()
    for jobs in read(path, form):
        refused += jobs.refused
        tables.append(_table(jobs, consumed(jobs, cadence_seconds=form.cadence_seconds, method=method)))
    if not sum(map(len, tables)):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in refused.most_common(3)) or "it is empty"
        raise InputError(f"{path} has no job that can be used ({reasons}); look at its columns and lists")
    table = pyarrow.concat_tables(tables)
    if out is not None:
        files.write_table(out, table)
    return _summary(table, method, refused)


def lines(summary: Summary) -> list[str]:
    """What a person wants to know of it."""
    left = ", ".join(f"{reason} {count}" for reason, count in summary.refused.items()) or "nothing"
    missing = f"{summary.missing_samples:,} of {summary.samples + summary.missing_samples:,} samples are missing"
    return [
        f"jobs         {summary.jobs:,} with an energy, {summary.without:,} with too few samples for one",
        f"energy       {_quantity(summary.joules)} by the {summary.method} rule over what was sampled: "
        f"{summary.covered_share:.1%} of their run time; {missing}",
        f"estimated    {_quantity(summary.joules_estimated)} over all of it, each job at its own mean power",
        f"left out     {left}",
    ]


def _quantity(joules: float) -> str:
    return f"{joules:.6g} J ({joules / JOULES_PER_MWH:.4g} MWh)"


def _table(jobs: Jobs, found: Consumed) -> "pyarrow.Table":
    import pyarrow

    table = pyarrow.table(
        {
            "job_id": pyarrow.array(jobs.ids, pyarrow.string()),
            "state": pyarrow.array(jobs.states, pyarrow.string()),
            "nodes": jobs.nodes,
            "start": pyarrow.array(jobs.starts, pyarrow.timestamp("ns", "UTC")),
            "run_seconds": jobs.run_seconds,
            "covered_seconds": found.covered_seconds,
            "joules": found.joules,
            "joules_estimated": found.mean_watts * jobs.run_seconds,
            "mean_watts": found.mean_watts,
            "peak_watts": found.peak_watts,
            "samples": found.samples,
            "missing_samples": found.missing,
        }
    )
    fields = [field.with_metadata({"unit": UNITS.get(field.name, "1")}) for field in table.schema]
    return table.cast(pyarrow.schema(fields))


def _summary(table: "pyarrow.Table", method: Method, refused: Counter[str]) -> Summary:
    columns = {name: table[name].to_numpy() for name in (*UNITS, "samples", "missing_samples")}
    has = ~np.isnan(columns["joules"])
    run_seconds = float(columns["run_seconds"][has].sum())
    return Summary(
        jobs=int(has.sum()),
        without=int((~has).sum()),
        joules=float(columns["joules"][has].sum()),
        joules_estimated=float(columns["joules_estimated"][has].sum()),
        covered_share=float(columns["covered_seconds"][has].sum()) / run_seconds if run_seconds else 0.0,
        samples=int(columns["samples"].sum()),
        missing_samples=int(columns["missing_samples"].sum()),
        method=method,
        refused=dict(refused),
    )
