"""Parquet files of one worker, a folder for each UTC day: whole or not there, and never too many."""

import contextlib
import fcntl
import io
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wattline import files
from wattline.errors import InputError
from wattline.predictions import PREFIX, LogColumn
from wattline.serving.ids import new_id

if TYPE_CHECKING:
    from arro3.core import RecordBatch, Schema

LOG = logging.getLogger("wattline.serving")
WORKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FILES = 32
"""When there are more small files of one day, they are merged."""
SMALL_BYTES = 512 * 1024
"""A file that is larger is not merged any more."""
MERGED_BYTES = 2 * SMALL_BYTES
"""What is merged at once, so that it fits into memory whatever the files are like; two small files always do."""
SMALL_ROWS, MERGED_ROWS = 8192, 16384
"""The same in rows, of which many fit into few bytes where they are alike."""
GROUP_ROWS = 1024
PAUSE = 0.0001
"""How long the event loop gets the interpreter to itself after each small piece of work [s]."""


class Partitions:
    """The files of one worker below one folder. They belong to one thread.

    arro3 keeps the interpreter from all other threads while it works, so it is asked for a little at a time.
    pause: after each little; 0 is for the end, when nobody is left to be delayed [s]
    """

    def __init__(self, folder: Path, *, worker: str, columns: Sequence[LogColumn]) -> None:
        """worker: names the files. Another process with this name may still be at work; only one of them tidies up.

        Raises InputError when `worker` cannot be part of a file's name.
        """
        import arro3.io  # noqa: F401  here it delays nobody's answer

        if not WORKER.fullmatch(worker):
            raise InputError(f"worker must be up to 63 letters, digits, '.', '_' and '-', got {worker[:100]!r}")
        self.pause = PAUSE
        self._folder, self._worker, self._columns = folder, worker, tuple(columns)
        self._finished = re.compile(rf"{re.escape(worker)}-[0-9a-f]{{21}}-[0-9a-f]{{10,}}\.parquet")
        self._unfinished = re.compile(rf"\.{self._finished.pattern}\.[0-9]+")
        self._small: dict[int, int] = {}
        self._settled: set[Path] = set()
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Remove what a dead process of this name left unfinished. Raises nothing: the folder may get well later."""
        with contextlib.suppress(OSError):
            self._own()

    def batch(self, rows: Sequence[tuple[Any, ...]]) -> "RecordBatch":
        """A few rows, in the order of the columns and with instants as microseconds since 1970, in Arrow's form."""
        from arro3.core import Array, DataType, RecordBatch

        schema = self._schema()
        arrays = []
        for kind, values in zip(schema.types, zip(*rows, strict=True), strict=True):
            # arro3 makes instants out of integers only.
            instant = DataType.is_timestamp(kind)
            arrays.append(Array(values, DataType.int64()).cast(kind) if instant else Array(values, kind))
        return RecordBatch.from_arrays(arrays, schema=schema)

    def write(self, day: int, batches: Sequence["RecordBatch"]) -> None:
        """Write one file of a UTC day, counted in days since 1970. Raises, mostly OSError, when that cannot be done."""
        self._publish(day, batches)
        with self._logged(day):
            self._own()
            self._tidy(day)

    def close(self) -> None:
        """Let another process of this name tidy up."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _publish(self, day: int, batches: Iterable["RecordBatch"]) -> None:
        content = _parquet(batches, self._schema(), pause=self.pause)
        files.write_bytes(self._partition(day) / f"{self._worker}-{new_id()}.parquet", content)

    def _tidy(self, day: int) -> None:
        """Merge when there is reason to: too many files of today, or the last ones of the day before."""
        if day not in self._small:
            # First, so that a former day that cannot be merged, or is gone, holds nothing up.
            formers, self._small = self._small, {day: len(self._mergeable(day))}
            for former in formers:
                with self._logged(former):
                    self._merge_all(former)
        else:
            self._small[day] += 1
        if self._small[day] > FILES:
            # One at a time: answers wait meanwhile, and this is enough to keep up.
            self._small[day] -= self._merge(day)

    @contextlib.contextmanager
    def _logged(self, day: int) -> Iterator[None]:
        """Let nothing that goes wrong in tidying look like rows that were not written."""
        try:
            yield
        except Exception as error:
            LOG.warning("the small files of %s could not be merged: %s", self._partition(day), error)

    def _merge_all(self, day: int) -> None:
        while self._merge(day):
            time.sleep(self.pause)

    def _merge(self, day: int) -> int:
        """Put the rows of some small files into one; returns how many these were, 0 where there are no two.

        Until those are gone too, a reader finds these rows twice.
        """
        if self._lock is None:
            return 0
        merged: list[Path] = []
        batches: list[RecordBatch] = []
        size = rows = 0
        for path in self._mergeable(day):
            size += path.stat().st_size
            if size > MERGED_BYTES or rows > MERGED_ROWS:
                break
            found = self._read(path)
            count = sum(batch.num_rows for batch in found)
            if not found or count > SMALL_ROWS:
                self._settled.add(path)
                continue
            rows += count
            merged.append(path)
            batches += found
        if len(merged) < 2:
            return 0
        self._publish(day, batches)
        for path in merged:
            path.unlink(missing_ok=True)
        return len(merged)

    def _mergeable(self, day: int) -> list[Path]:
        return [
            path
            for path in sorted(self._partition(day).iterdir())
            if self._finished.fullmatch(path.name) and path not in self._settled and path.stat().st_size < SMALL_BYTES
        ]

    def _read(self, path: Path) -> "list[RecordBatch]":
        """What is in a file; nothing where it cannot be read, or has other columns."""
        from arro3.io import read_parquet

        batches = []
        content = io.BytesIO(path.read_bytes())
        try:
            for batch in read_parquet(content, batch_size=GROUP_ROWS):
                batches.append(batch)
                time.sleep(self.pause)
        except BaseException as error:  # arro3 panics on some broken files, and a panic is no Exception
            LOG.error("%s is not readable and stays as it is: %s", path, error)
            return []
        if batches and batches[0].schema != self._schema():
            LOG.warning("%s has other columns than those of today and stays as it is", path)
            return []
        return batches

    def _own(self) -> None:
        """Become the one process of this name that tidies up, if there is no other."""
        if self._lock is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = (self._folder / f".{self._worker}.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return
        self._lock = lock
        for path in self._folder.glob(f"{PREFIX}*/.*"):
            if self._unfinished.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _partition(self, day: int) -> Path:
        return self._folder / f"{PREFIX}{(EPOCH + timedelta(days=day)).date().isoformat()}"

    def _schema(self) -> "Schema":
        from arro3.core import DataType, Field, Schema

        types = {
            "text": DataType.utf8(),
            "number": DataType.float64(),
            "flag": DataType.bool(),
            "label": DataType.int8(),
            "instant": DataType.timestamp("us", tz="UTC"),
        }
        return Schema([Field(column.name, types[column.kind], nullable=True) for column in self._columns])


class _Courteous(io.BytesIO):
    """A file in memory whose writer pauses now and then. (On a real one, arro3 would panic when the disk is full.)"""

    def __init__(self, *, pause: float) -> None:
        super().__init__()
        self._pause = pause

    def write(self, content: Any, /) -> int:
        time.sleep(self._pause)
        return super().write(content)


def _parquet(batches: Iterable["RecordBatch"], schema: "Schema", *, pause: float) -> bytes:
    from arro3.core import Table
    from arro3.io import write_parquet

    stream = _Courteous(pause=pause)
    table = Table.from_batches(list(batches), schema=schema)
    write_parquet(table, stream, compression="zstd(1)", max_row_group_size=GROUP_ROWS, skip_arrow_metadata=True)
    return stream.getvalue()
