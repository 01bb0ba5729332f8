"""Rows of one kind on their way from the event loop into files."""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from wattline.serving.prediction_log.partitions import Partitions

if TYPE_CHECKING:
    from arro3.core import RecordBatch

LOG = logging.getLogger("wattline.serving")
CHUNK_ROWS = 128
"""Rows that are worked on before the event loop gets its turn."""
DAY_MICROSECONDS = 86_400_000_000
Row = tuple[Any, ...]
Entry = TypeVar("Entry")


class _Queued(NamedTuple, Generic[Entry]):
    """An entry, and how many rows will be made of it."""

    rows: int
    entry: Entry


class Lane(Generic[Entry]):
    """One thread puts entries of one or more rows, another one, always the same, flushes.

    taken: rows that left the queue and are not in a file yet
    """

    def __init__(
        self,
        partitions: Partitions,
        *,
        what: str,
        day: Callable[[Entry], int],
        rows: Callable[[Sequence[Entry]], Sequence[Row]],
        on_write: Callable[[int], None] | None = None,
        on_drop: Callable[[int], None] | None = None,
    ) -> None:
        """Fill `partitions`.

        what: names the rows in messages
        day: on which an entry happened, in UTC [days since 1970]
        rows: makes the rows that are written out of entries that were queued
        on_drop: told how many rows a disk did not take; None: they are kept and tried again
        """
        self.taken = 0
        self.partitions = partitions
        self._what, self._day, self._rows = what, day, rows
        self._on_write, self._on_drop = on_write, on_drop
        self._queue: deque[_Queued[Entry]] = deque()
        self._put = self._popped = 0
        self._ready: dict[int, list[RecordBatch]] = defaultdict(list)
        self._lost: int | None = None

    @property
    def waiting(self) -> int:
        """Rows that are not in a file yet."""
        return self._put - self._popped + self.taken

    def put(self, entry: Entry, rows: int) -> None:
        """Queue an entry that `rows` rows will be made of, at most CHUNK_ROWS."""
        self._put += rows
        self._queue.append(_Queued(rows, entry))

    def flush(self) -> None:
        """Write what waits now. Whatever goes wrong is logged and counted."""
        remaining = len(self._queue)
        while remaining > 0:
            remaining -= self._take(remaining)
            time.sleep(self.partitions.pause)
        for day, batches in list(self._ready.items()):
            rows = sum(batch.num_rows for batch in batches)
            try:
                self.partitions.write(day, batches)
            except Exception as error:  # whatever it is, the next rows may do better
                self._failed(error, rows)
                if self._on_drop is None:
                    continue
            else:
                self._succeeded(rows)
            del self._ready[day]
            self.taken -= rows

    def give_up(self) -> None:
        """Count what is still not written as lost."""
        if rows := self.waiting:
            LOG.error("%d %s were not written before the end", rows, self._what)
            if self._on_drop is not None:
                self._on_drop(rows)

    def _take(self, most: int) -> int:
        """Prepare up to `most` entries with CHUNK_ROWS rows together; returns how many."""
        count = 0
        queued: list[Entry] = []
        while len(queued) < most and count + self._queue[0].rows <= CHUNK_ROWS:
            one = self._queue.popleft()
            queued.append(one.entry)
            count += one.rows
            # In this order: for a moment there seem to be more rows than there are, never less.
            self.taken += one.rows
            self._popped += one.rows
        try:
            batches = self._batches(queued)
        except Exception as error:  # a row that cannot be written must not end the log
            self._failed(error, count)
            self.taken -= count
        else:
            for day, batch in batches.items():
                self._ready[day].append(batch)
        return len(queued)

    def _batches(self, queued: Sequence[Entry]) -> "dict[int, RecordBatch]":
        days: dict[int, list[Entry]] = defaultdict(list)
        for entry in queued:
            days[self._day(entry)].append(entry)
        return {day: self.partitions.batch(self._rows(entries)) for day, entries in days.items()}

    def _failed(self, error: Exception, rows: int) -> None:
        if self._lost is None:
            LOG.error("%s cannot be written (%s: %s); the server goes on", self._what, type(error).__name__, error)
            self._lost = 0
        if self._on_drop is not None:
            self._lost += rows
            self._on_drop(rows)

    def _succeeded(self, rows: int) -> None:
        if self._lost is not None:
            LOG.warning("%s are written again; %d were lost", self._what, self._lost)
            self._lost = None
        if self._on_write is not None:
            self._on_write(rows)
