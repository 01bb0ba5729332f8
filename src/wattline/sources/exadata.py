"""Files of the M100 ExaData layout: year_month=YY-MM/plugin=P/metric=M/*.parquet, read no further than needed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.sources.span import Span

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import dataset

MONTH = re.compile(r"year_month=(\d\d)-(\d\d)")
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ROWS_AT_ONCE = 1 << 20


REMEDY = "files of the archive have timestamp, value and node; what is of the facility or of a rack has no node"
FAULTS = ("the value is no number", "the value is not finite", "the value does not fit in 32 bits")
LARGEST = float(np.finfo(np.float32).max)


class Owned(NamedTuple):
    """Rows of one piece by node. owners: names; codes: (rows,) place of each row's among them; instants: (rows,)
    nanoseconds since 1970, UTC.
    """

    owners: list[str]
    codes: NDArray[np.int32]
    instants: NDArray[np.int64]


class Samples(NamedTuple):
    """Samples of one metric in file order. values: (rows,); faults: (rows,) -1, or the place in FAULTS of why not."""

    rows: Owned
    values: NDArray[np.float64]
    faults: NDArray[np.int8]


def files(root: Path, *, plugin: str, metric: str, span: Span) -> tuple[Path, ...]:
    """Files of a metric whose month touches `span`, in the order of their names.

    A month is searched one day beyond both ends: the archive was cut by a clock that is not known to be UTC. There is
    none where the metric was collected in other months only.
    Raises InputError when the folder is no such archive, or no month has this metric.
    """
    months = sorted(root.glob("year_month=*"))
    if not months:
        raise InputError(f"{root} holds no folder year_month=YY-MM; name the folder that the archive was unpacked into")
    wanted = [month for month in months if _touches(month, span)]
    place = f"plugin={plugin}/metric={metric}"
    if not any((month / place).is_dir() for month in months):
        raise InputError(f"{root} has no {place} in any of its {len(months)} months; correct `metrics`")
    return tuple(path for month in wanted for path in sorted((month / place).glob("*.parquet")))


def _touches(month: Path, span: Span) -> bool:
    found = MONTH.fullmatch(month.name)
    if found is None or not 1 <= int(found.group(2)) <= 12:
        raise InputError(f"{month} is no month of the archive; folders are called like year_month=22-03")
    first = datetime(2000 + int(found.group(1)), int(found.group(2)), 1, tzinfo=UTC)
    after = (first + timedelta(days=32)).replace(day=1)
    return first - timedelta(days=1) < span.end and span.start < after + timedelta(days=1)


class File:
    """One file, of which only the footer has been read. where: further columns and the value that they must have."""

    def __init__(self, path: Path, span: Span, where: Mapping[str, str]) -> None:
        import pyarrow
        from pyarrow import dataset

        self.path = path
        try:
            self._dataset = dataset.dataset(path, format="parquet", partitioning=None)
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise InputError(f"{path} is not Parquet: {str(error).splitlines()[0]}; unpack it again") from None
        for name in ("timestamp", "value", "node", *where):
            if name not in self._dataset.schema.names:
                raise InputError(
                    f"{path} has no column {name!r}; it has {', '.join(self._dataset.schema.names)}: {REMEDY}"
                )
        self._filter = self._within(span) & dataset.field("value").is_valid() & dataset.field("node").is_valid()
        if pyarrow.types.is_floating(self._dataset.schema.field("value").type):
            self._filter &= ~dataset.field("value").is_nan()
        for name, value in where.items():
            self._filter &= dataset.field(name).cast(pyarrow.string()) == value

    def owners(self) -> Iterator[Owned]:
        """Whose samples there are, and of when, piece by piece."""
        for batch in self._batches(["timestamp", "node"], self._filter):
            yield _owned(batch)

    def samples(self, nodes: Sequence[str]) -> Iterator[Samples]:
        """Samples of `nodes`, piece by piece."""
        for batch in self._batches(["timestamp", "value", "node"], self._filter & self._of(nodes)):
            yield Samples(_owned(batch), *_numbers(batch["value"], self.path))

    def _batches(self, columns: list[str], wanted: "dataset.Expression") -> "Iterator[pyarrow.RecordBatch]":
        import pyarrow

        try:
            batches = self._dataset.to_batches(columns=columns, filter=wanted, batch_size=ROWS_AT_ONCE)
            yield from (batch for batch in batches if batch.num_rows)
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise InputError(f"{self.path} cannot be read: {str(error).splitlines()[0]}; unpack it again") from None

    def _within(self, span: Span) -> "dataset.Expression":
        import pyarrow
        from pyarrow import dataset, types

        kind = self._dataset.schema.field("timestamp").type
        if not types.is_timestamp(kind):
            raise InputError(f"{self.path}: column 'timestamp' is {kind}, no timestamp; {REMEDY}")
        first, last = (_ticks(instant, PER_SECOND[kind.unit]) for instant in span)
        field = dataset.field("timestamp")
        return (field >= pyarrow.scalar(first, kind)) & (field < pyarrow.scalar(last, kind))

    def _of(self, nodes: Sequence[str]) -> "dataset.Expression":
        """In the type of the file, so that its statistics say which row groups need not be read."""
        import pyarrow
        from pyarrow import dataset, types

        kind = self._dataset.schema.field("node").type
        field = dataset.field("node")
        if types.is_integer(kind):
            return field.isin(pyarrow.array([int(node) for node in nodes if node.isdigit()], kind))
        if types.is_string(kind) or types.is_large_string(kind):
            return field.isin(pyarrow.array(nodes, kind))
        return field.cast(pyarrow.string()).isin(pyarrow.array(nodes, pyarrow.string()))


def _ticks(instant: datetime, per_second: int) -> int:
    """The first tick that is not before `instant`: exact, as a float would not be."""
    elapsed = instant - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (elapsed.days * 86_400 + elapsed.seconds) * 10**6 + elapsed.microseconds
    return -(-micros * per_second // 10**6)


def _owned(batch: "pyarrow.RecordBatch") -> Owned:
    import pyarrow

    names = batch["node"].cast(pyarrow.string()).dictionary_encode()
    times = batch["timestamp"]
    factor = PER_SECOND["ns"] // PER_SECOND[times.type.unit]
    return Owned(
        names.dictionary.to_pylist(),
        np.asarray(names.indices.to_numpy(zero_copy_only=False), dtype=np.int32),
        np.asarray(times.cast(pyarrow.int64()).to_numpy(zero_copy_only=False), dtype=np.int64) * factor,
    )


def _numbers(column: "pyarrow.Array", path: Path) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Values, and what is wrong with each: one and the same metric changed its type over the years."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if types.is_boolean(kind):
        column = column.cast(pyarrow.int8())
    faults = np.full(len(column), -1, dtype=np.int8)
    if types.is_string(kind) or types.is_large_string(kind):
        values = np.array([_number(text) for text in column.to_pylist()], dtype=np.float64)
        faults[np.isnan(values)] = 0
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind):
        values = np.array(column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    else:
        raise InputError(f"{path}: column 'value' is {kind}, which is no number; leave this metric out of `metrics`")
    faults[np.isinf(values)] = 1
    faults[np.isfinite(values) & (np.abs(values) > LARGEST)] = 2
    return values, faults


def _number(text: str) -> float:
    try:
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan
