"""Job tables in the form of PM100: a row a job, with its power over time as a list."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wattline.errors import InputError
from wattline.params import Section
from wattline.sources.metrics import Text
from wattline.sources.timestamps import instants

if TYPE_CHECKING:
    import pyarrow

JOBS_AT_ONCE = 4096
HIGHEST_WATTS = 1e9
"""A site's whole supply, ten times over: what is above it is no power of a job."""


class Form(Section):
    """What the columns of a table are called, and what its lists mean. The defaults are PM100's.

    power: lists of the power of the whole job, over all its nodes [W]
    cadence_seconds: distance of two elements of a list [s]; the first is at the start of the job
    job: column of the job's id
    start: column of its first instant
    end: column of its last instant
    state: column of how it ended; a table may lack it
    nodes: column of how many nodes it ran on; a table may lack it
    timezone: IANA name of the zone of times that say none
    """

    power: Text = "node_power_consumption"
    cadence_seconds: float = Field(default=20, gt=0)
    job: Text = "job_id"
    start: Text = "start_time"
    end: Text = "end_time"
    state: Text = "job_state"
    nodes: Text = "num_nodes_alloc"
    timezone: Text | None = None


@dataclass(frozen=True)
class Jobs:
    """Some jobs of a table: arrays of (jobs,), and their lists one after the other.

    starts, ends: nanoseconds since 1970, UTC
    states: "" where the table has none; nodes: 0 where it has none
    offsets: (jobs + 1,) where the list of each job begins and ends in `watts`
    watts: (samples,) power [W]; NaN where there is no sample, or one that is negative or beyond HIGHEST_WATTS
    refused: what was not taken, reason -> count of jobs, or of samples where the reason says so
    """

    ids: tuple[str, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    states: tuple[str, ...]
    nodes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    watts: NDArray[np.float64]
    refused: Counter[str]

    @property
    def run_seconds(self) -> NDArray[np.float64]:
        return (self.ends - self.starts) / 1e9


def read(path: Path, form: Form) -> Iterator[Jobs]:
    """The jobs of a table, some thousands at once. One that cannot be used, or comes twice, is counted.

    Raises InputError naming file and column when it is no such table.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path} is not there; name a table of jobs") from None
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is no Parquet file: {str(error).splitlines()[0]}; write it again") from None
    with file:
        _check(file.schema_arrow, path, form)
        optional = [name for name in (form.state, form.nodes) if name in file.schema_arrow.names]
        wanted = [form.job, form.start, form.end, form.power, *optional]
        seen: set[str] = set()
        try:
            for batch in file.iter_batches(JOBS_AT_ONCE, columns=wanted):
                yield _jobs(pyarrow.Table.from_batches([batch]), path, form, seen)
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}; write it again") from None


def _check(schema: "pyarrow.Schema", path: Path, form: Form) -> None:
    from pyarrow import types

    for name in (form.job, form.start, form.end, form.power):
        if name not in schema.names:
            raise InputError(
                f"{path} has no column {name!r}; it has {', '.join(schema.names)[:300]}; name the right one"
            )
    kind = schema.field(form.power).type
    if not (types.is_list(kind) or types.is_large_list(kind)):
        raise InputError(f"{path}: column {form.power!r} is {kind}; each row must be a list of numbers [W]")
    if not (types.is_integer(kind.value_type) or types.is_floating(kind.value_type)):
        raise InputError(f"{path}: column {form.power!r} has lists of {kind.value_type}; they must be numbers [W]")


def _jobs(table: "pyarrow.Table", path: Path, form: Form, seen: set[str]) -> Jobs:
    import pyarrow

    refused: Counter[str] = Counter()
    ids = table[form.job].cast(pyarrow.string()).to_pylist()
    starts, started = _instants(table[form.start], form.start, path, form)
    ends, ended = _instants(table[form.end], form.end, path, form)
    counts = np.asarray(table[form.power].combine_chunks().value_lengths().fill_null(0).to_numpy(False), dtype=np.int64)
    faults = {
        "no id": np.array([name is None for name in ids]),
        "no start or no end": ~(started & ended),
        "the end is not after the start": ends <= starts,
        "no power": counts == 0,
        "more samples than its run time holds": counts > 2 + (ends - starts) / 1e9 / form.cadence_seconds,
    }
    kept = np.ones(len(ids), dtype=bool)
    for reason, fault in faults.items():
        refused[reason] = int((kept & fault).sum())
        kept &= ~fault
    for row in np.flatnonzero(kept).tolist():
        if ids[row] in seen:
            refused["a job that comes twice"] += 1
            kept[row] = False
        seen.add(ids[row])
    rows = np.flatnonzero(kept)
    table = table.take(rows)
    watts, wrong = _watts(table[form.power])
    refused["samples: negative, or beyond any site's power"] = wrong
    return Jobs(
        ids=tuple(ids[row] for row in rows.tolist()),
        starts=starts[rows],
        ends=ends[rows],
        states=_texts(table, form.state),
        nodes=_counts(table, form.nodes),
        offsets=np.concatenate([[0], np.cumsum(counts[rows])]),
        watts=watts,
        refused=+refused,
    )


def _watts(column: "pyarrow.ChunkedArray") -> tuple[NDArray[np.float64], int]:
    """The elements of all lists, and how many of them are no power."""
    import pyarrow

    elements = column.combine_chunks().flatten().cast(pyarrow.float64())
    watts = np.array(elements.to_numpy(zero_copy_only=False), dtype=np.float64)
    wrong = (watts < 0) | (watts > HIGHEST_WATTS)
    watts[wrong] = np.nan
    return watts, int(wrong.sum())


def _instants(
    column: "pyarrow.ChunkedArray", name: str, path: Path, form: Form
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Nanoseconds, 0 where the column is empty, and where it is not."""
    known = np.asarray(column.is_valid().to_numpy(), dtype=bool)
    found = np.zeros(len(column), dtype=np.int64)
    if known.any():
        times = instants(column.drop_null(), name, timezone=form.timezone, where=str(path))
        found[known] = times.astype(np.int64)
    return found, known


def _texts(table: "pyarrow.Table", name: str) -> tuple[str, ...]:
    if name not in table.column_names:
        return ("",) * len(table)
    return tuple("" if value is None else str(value) for value in table[name].to_pylist())


def _counts(table: "pyarrow.Table", name: str) -> NDArray[np.int64]:
    from pyarrow import types

    if name not in table.column_names or not types.is_integer(table[name].type):
        return np.zeros(len(table), dtype=np.int64)
    return np.asarray(table[name].fill_null(0).to_numpy(), dtype=np.int64)
