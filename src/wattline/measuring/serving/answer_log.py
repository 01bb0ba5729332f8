"""Waits until a server has written down what it answered: that belongs to what its answers cost."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from wattline.measuring.serving.process import ServingError

POLL_SECONDS = 0.05
GRACE_SECONDS = 5.0
"""How much longer than promised a busy disk may take [s]."""


@dataclass
class AnswerLog:
    """The log of answers below `folder`, seen from outside.

    flush_seconds: at most so long until an answer is in a file [s]
    """

    folder: Path
    flush_seconds: float
    _rows: dict[Path, int] = field(default_factory=dict)

    def wait(self, answers: int) -> None:
        """Return once `answers` rows are in files. Raises ServingError when they are not there in time."""
        overdue = time.monotonic() + self.flush_seconds + GRACE_SECONDS
        while (found := self.rows()) < answers:
            if time.monotonic() > overdue:
                raise ServingError(
                    f"{found:,} of {answers:,} answers were in the server's log {self.flush_seconds + GRACE_SECONDS:g} "
                    "s after the last one; see serving.log.queue_records and flush_seconds"
                )
            time.sleep(POLL_SECONDS)

    def rows(self) -> int:
        """Rows in all files. While files are merged there seem to be more for a moment."""
        import pyarrow.parquet

        found = {}
        for path in self.folder.glob("date=*/[!.]*.parquet"):
            try:
                found[path] = self._rows.get(path) or pyarrow.parquet.read_metadata(path).num_rows
            except FileNotFoundError:
                continue  # merged meanwhile
        self._rows = found
        return sum(found.values())
