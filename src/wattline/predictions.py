"""The log of answers and of what people said about them: columns, folders, and how it is read.

    <folder>/date=YYYY-MM-DD/<worker>-<sequence>.parquet             answers, by the UTC date they were given
    <folder>/feedback/date=YYYY-MM-DD/<worker>-<sequence>.parquet    feedback, by the UTC date it was received

Names that start with a dot are somebody's unfinished work and are never read. Files of one day may be merged while they
are read: a row may then be found twice, and is counted once.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wattline.errors import InputError

if TYPE_CHECKING:
    import pyarrow

FEEDBACK_FOLDER = "feedback"
PREFIX = "date="


@dataclass(frozen=True)
class LogColumn:
    """One column of the log.

    kind: "text", "number" (float64), "flag" (boolean), "label" (int8) or "instant" (UTC, in microseconds)
    unit: of its values; "1" for what has none
    """

    name: str
    kind: Literal["text", "number", "flag", "label", "instant"]
    unit: str
    meaning: str


ANSWERS = (
    LogColumn("id", "text", "1", "of this answer; the caller got it too"),
    LogColumn("answered_at", "instant", "us since 1970-01-01 UTC", "when it was given, by the server's clock"),
    LogColumn("unit", "text", "1", "which node or machine; null where the caller named none that exists"),
    LogColumn(
        "input_sha256", "text", "1", "SHA-256 of the window as the graph saw it: float32, little-endian, C order"
    ),
    LogColumn("score", "number", "the model's output_unit", "null where it could not be computed"),
    LogColumn("threshold", "number", "the model's output_unit", "null where the model has none"),
    LogColumn("alarm", "flag", "1", "whether the score was above the threshold; null where one of them is"),
    LogColumn("model", "text", "1", "registered name of the model that answered"),
    LogColumn("version", "text", "1", "its version; null for a model from a folder"),
    LogColumn("digest", "text", "1", "SHA-256 over its files: Candidate.digest"),
    LogColumn("route", "text", "1", "template of the path that was asked, e.g. /predict"),
    LogColumn("principal", "text", "1", "who asked"),
    LogColumn("role", "text", "1", '"stable", "canary", or "shadow": computed, but never sent to the caller'),
)
"""One row is one answer for one window. A shadow has the id of the answer that it accompanies."""

FEEDBACK = (
    LogColumn("id", "text", "1", "of this feedback"),
    LogColumn("prediction", "text", "1", "id of the answer that it is about"),
    LogColumn("received_at", "instant", "us since 1970-01-01 UTC", "when it came, by the server's clock"),
    LogColumn("label", "label", "1", "1 an anomaly, 0 none, null: not known (any more)"),
    LogColumn("comment", "text", "1", "free text of the caller"),
    LogColumn("at", "instant", "us since 1970-01-01 UTC", "when the caller says it was found out"),
    LogColumn("by", "text", "1", "who said so"),
)
"""All feedback is kept. Of several on one answer, what the server received last counts."""


class Joined(NamedTuple):
    """Answers with what was said about them.

    answers: columns of ANSWERS, then label, label_by and label_at; the same order as `read`
    unmatched: columns of FEEDBACK; the newest feedback on each id that none of `answers` has
    """

    answers: "pyarrow.Table"
    unmatched: "pyarrow.Table"


def read(folder: Path, *, start: datetime | None = None, end: datetime | None = None) -> "pyarrow.Table":
    """Every answer from `start` up to, but without, `end`: once each, by time.

    start, end: with a time zone; None: without a bound. Days outside of them are not opened.
    returns: columns of ANSWERS; no rows where there is no log
    Raises InputError naming a file that does not belong there, or a bound without a time zone.
    """
    return _rows(folder, ANSWERS, keys=("id", "role"), span=_span(start, end))


def read_feedback(folder: Path, *, start: datetime | None = None, end: datetime | None = None) -> "pyarrow.Table":
    """All feedback received from `start` up to, but without, `end`, by time. Bounds and errors are those of `read`."""
    return _rows(folder / FEEDBACK_FOLDER, FEEDBACK, keys=("id",), span=_span(start, end))


def find(folder: Path, prediction: str) -> dict[str, Any] | None:
    """The answer with this id, as column -> value; None where there is none. Of several, what a caller got.

    Raises InputError as `read` does.
    """
    found = _matching(folder, ANSWERS, "id", prediction)
    return min(found, key=lambda row: row["role"] == "shadow", default=None)


def feedback_on(folder: Path, prediction: str) -> list[dict[str, Any]]:
    """All feedback on the answer with this id, by time. Raises InputError as `read` does."""
    found = {row["id"]: row for row in _matching(folder / FEEDBACK_FOLDER, FEEDBACK, "prediction", prediction)}
    return sorted(found.values(), key=lambda row: row["received_at"])


def joined(folder: Path, *, start: datetime | None = None, end: datetime | None = None) -> Joined:
    """Every answer that `read` gives, with the newest feedback on it, whenever that came.

    label_at: when the caller says it was found out, otherwise when it was received
    Raises InputError as `read` does.
    """
    import pyarrow.compute as pc

    answers = read(folder, start=start, end=end)
    # By another server's clock, feedback may seem to arrive before the answer was given.
    since = start - timedelta(days=1) if start else None
    newest = _last(read_feedback(folder, start=since), "prediction")
    place = pc.index_in(answers["id"], value_set=newest["prediction"].combine_chunks())
    found_out = pc.coalesce(newest["at"], newest["received_at"])
    for name, column in (("label", newest["label"]), ("label_by", newest["by"]), ("label_at", found_out)):
        answers = answers.append_column(name, column.take(place))
    known = pc.is_in(newest["prediction"], value_set=answers["id"].combine_chunks())
    return Joined(answers, newest.filter(pc.invert(known)))


def schema(columns: Sequence[LogColumn]) -> "pyarrow.Schema":
    """The Arrow schema of `columns`."""
    import pyarrow

    types = {
        "text": pyarrow.string(),
        "number": pyarrow.float64(),
        "flag": pyarrow.bool_(),
        "label": pyarrow.int8(),
        "instant": pyarrow.timestamp("us", tz="UTC"),
    }
    return pyarrow.schema([(column.name, types[column.kind]) for column in columns])


def _span(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    for name, bound in (("start", start), ("end", end)):
        if bound is not None and bound.tzinfo is None:
            raise InputError(f"{name} is {bound.isoformat()}, without a time zone; add one, e.g. +00:00")
    first = datetime.min.replace(tzinfo=UTC) if start is None else start.astimezone(UTC)
    return first, datetime.max.replace(tzinfo=UTC) if end is None else end.astimezone(UTC)


def _rows(
    folder: Path, columns: Sequence[LogColumn], *, keys: tuple[str, ...], span: tuple[datetime, datetime]
) -> "pyarrow.Table":
    import pyarrow
    import pyarrow.compute as pc

    wanted = schema(columns)
    table = pyarrow.concat_tables([wanted.empty_table(), *_tables(folder, wanted, span=span)])
    instant = next(column.name for column in columns if column.kind == "instant")
    within = pc.and_(pc.greater_equal(table[instant], span[0]), pc.less(table[instant], span[1]))
    return _last(table.filter(within), *keys).sort_by([(name, "ascending") for name in (instant, *keys)])


def _matching(folder: Path, columns: Sequence[LogColumn], key: str, value: str) -> list[dict[str, Any]]:
    """Rows in which `key` is `value`: one file after the other, so that a log of any size is searched."""
    import pyarrow.compute as pc

    wanted, found, seen = schema(columns), [], set[Path]()
    vanished = True
    while vanished:
        vanished = False
        for path in _seen_twice(folder, *_span(None, None)) - seen:
            seen.add(path)
            try:
                table = _load(path, wanted)
            except FileNotFoundError:  # merged into another one meanwhile
                vanished = True
            else:
                found += table.filter(pc.equal(table[key], value)).to_pylist()
    return found


def _tables(folder: Path, wanted: "pyarrow.Schema", *, span: tuple[datetime, datetime]) -> "Iterable[pyarrow.Table]":
    """Load every file. Where one was merged into another meanwhile, look again for that one."""
    loaded: dict[Path, pyarrow.Table] = {}
    vanished = True
    while vanished:
        vanished = False
        for path in _seen_twice(folder, *span) - loaded.keys():
            try:
                loaded[path] = _load(path, wanted)
            except FileNotFoundError:
                vanished = True
    return loaded.values()


def _seen_twice(folder: Path, start: datetime, end: datetime) -> set[Path]:
    """Files of the days in question.

    A folder that changes while it is listed may show neither the merged file nor those it was made from. What one look
    misses for that reason, the next one finds.
    """
    return {*_listing(folder, start, end), *_listing(folder, start, end)}


def _listing(folder: Path, start: datetime, end: datetime) -> Iterator[Path]:
    for partition in folder.glob(f"{PREFIX}*"):
        day = _day(partition)
        if start.date() <= day.date() and day < end:
            yield from (path for path in partition.iterdir() if not path.name.startswith("."))


def _day(partition: Path) -> datetime:
    with suppress(ValueError):
        if partition.is_dir():
            return datetime.strptime(partition.name, f"{PREFIX}%Y-%m-%d").replace(tzinfo=UTC)
    raise InputError(f"{partition} is no day of the log of answers; move it elsewhere")


def _load(path: Path, wanted: "pyarrow.Schema") -> "pyarrow.Table":
    import pyarrow
    from pyarrow import parquet

    stranger = f"{path} is no file of the log of answers; move it elsewhere"
    try:
        # By its path: given a file that Python opened, Arrow's threads may still let go of it while the interpreter
        # ends, and that aborts the process.
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pyarrow.ArrowException) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            raise
        raise InputError(f"{stranger}: {str(error).splitlines()[0]}") from None
    if not table.schema.equals(wanted):
        raise InputError(f"{stranger}: its columns are {', '.join(table.column_names)}")
    return table


def _last(table: "pyarrow.Table", *key: str) -> "pyarrow.Table":
    """The last row of each key, in the order of the table."""
    import numpy
    import pyarrow

    numbered = table.append_column("row", pyarrow.array(numpy.arange(table.num_rows)))
    last = numbered.group_by(list(key), use_threads=False).aggregate([("row", "max")])["row_max"]
    return table if len(last) == table.num_rows else table.take(last.sort())
