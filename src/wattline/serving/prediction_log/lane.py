"""Rows of one kind on their way from the event loop into files."""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wattline.serving.prediction_log.partitions import Partitions

if TYPE_CHECKING:
    from arro3.core import RecordBatch

LOG = logging.getLogger("wattline.serving")
CHUNK_ROWS = 128
"""Rows that are worked on before the event loop gets its turn."""
MICROSECONDS = 86_400_000_000
"""In a day."""
Row = tuple[Any, ...]


class Lane:
    """One thread appends to `queue`, another one, always the same, flushes.

    taken: rows that left the queue and are not in a file yet
    """

    def __init__(
        self,
        partitions: Partitions,
        *,
        what: str,
        instant: int,
        finish: Callable[[Row], Row],
        on_write: Callable[[int], None] | None = None,
        on_drop: Callable[[int], None] | None = None,
    ) -> None:
        """Fill `partitions`.

        what: names the rows in messages
        instant: place of the column that says on which day a row happened [us since 1970]
        finish: makes what is written out of what was queued
        on_drop: told how many rows a disk did not take; None: they are kept and tried again
        """
        self.queue: deque[Row] = deque()
        self.taken = 0
        self.partitions = partitions
        self._what, self._instant, self._finish = what, instant, finish
        self._on_write, self._on_drop = on_write, on_drop
        self._ready: dict[int, list[RecordBatch]] = defaultdict(list)
        self._lost: int | None = None

    @property
    def waiting(self) -> int:
        """Rows that are not in a file yet."""
        return len(self.queue) + self.taken

    def flush(self) -> None:
        """Write what waits now. Whatever goes wrong is logged and counted."""
        remaining = len(self.queue)
        while remaining > 0:
            self._take(min(remaining, CHUNK_ROWS))
            remaining -= CHUNK_ROWS
            time.sleep(self.partitions.pause)
        for day, batches in list(self._ready.items()):
            rows = sum(batch.num_rows for batch in batches)
            try:
                self.partitions.write(day, batches)
            except OSError as error:
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

    def _take(self, count: int) -> None:
        # In this order: for a moment there seem to be more rows than there are, never less.
        self.taken += count
        queued = [self.queue.popleft() for _ in range(count)]
        days: dict[int, list[Row]] = defaultdict(list)
        try:
            for row in map(self._finish, queued):
                days[row[self._instant] // MICROSECONDS].append(row)
            batches = {day: self.partitions.batch(rows) for day, rows in days.items()}
        except Exception as error:  # a row that cannot be written must not end the log
            self._failed(error, count)
            self.taken -= count
            return
        for day, batch in batches.items():
            self._ready[day].append(batch)

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
