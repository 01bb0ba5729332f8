"""The newest samples of every unit, in one file that all workers share and that outlives them."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from wattline.errors import InputError
from wattline.params.serving import ObserveParams
from wattline.records import Signature
from wattline.serving.observing.file import LOG, identify, is_corrupt, move_aside, open_file
from wattline.serving.observing.ring import VALUE, Layout, Placed, Ring
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
State = Literal["complete", "filling", "late", "ignored"]
NOTES: Mapping[Placed, str] = {
    "replaced": "replaces another sample of the same step",
    "late, replaced": "replaces another sample of the same step",
    "superseded": "not kept: a newer sample of the same step is there",
    "expired": "not kept: older than the window",
}


@dataclass(slots=True, frozen=True)
class Sample:
    """What one unit measured at one instant.

    timestamp: UTC, after 1970
    values: (columns,) float32 in raw units and in the signature's column order, NaN where missing
    """

    unit: str
    timestamp: datetime
    values: FloatArray


@dataclass(slots=True, frozen=True)
class Observed:
    """What became of a sample.

    state: "complete": `window` ends with it; "filling": its window is too short yet; "late": it is older than the
        newest and took its place in the window, to be seen by the next answer; "ignored": it was not kept, see `note`
    have: steps of the window so far, of the `need` that the model wants
    missing: how many of the steps so far were never recorded
    window: (steps, columns) float32
    """

    unit: str
    timestamp: datetime
    state: State
    have: int
    need: int
    missing: int
    note: str
    window: FloatArray | None


@dataclass(slots=True)
class _Kept:
    """A unit while a request works on it. `id` is None until it is in the file."""

    id: int | None
    ring: Ring


class Observations:
    """The store. Any worker may be sent any unit's sample: reading, merging and writing are one transaction.

    To be called by one thread at a time, in the process that made it.
    forgotten: units that were dropped since the start, the least recently seen ones, for `maximum_units`
    """

    def __init__(self, params: ObserveParams) -> None:
        """Open the file, or make it. Raises InputError when it is something else or cannot be written."""
        self.forgotten = 0
        self._path = Path(params.file)
        self._gap_steps, self._maximum_units = params.gap_steps, params.maximum_units
        self._layout: tuple[Signature, Layout] | None = None
        self._open()

    def observe(self, samples: Sequence[Sample], signature: Signature) -> list[Observed]:
        """Store `samples`, all or none of them, and give for each the window that ends with it.

        Samples of one unit are taken in the order of their timestamps; what is returned has the order of `samples`.
        Raises RefusedError 503, with nothing stored, when the file is locked for long or the disk is full.
        """
        try:
            self._follow()
            try:
                return self._observe(samples, signature)
            except sqlite3.Error as error:
                if not is_corrupt(error):
                    raise
                self._replace(error)
                return self._observe(samples, signature)
        except (sqlite3.Error, InputError, OSError) as error:
            raise RefusedError(
                f"the samples could not be stored ({error}); send them again",
                status=503,
                reason="store",
                headers={"Retry-After": "1"},
            ) from error

    def settle(self) -> None:
        """Copy what was written to its place in the file. Worth calling when idle; else a request does it at times."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the file. What was observed is in it."""
        self._connection.close()

    def _observe(self, samples: Sequence[Sample], signature: Signature) -> list[Observed]:
        layout = self._layout_of(signature)
        found: dict[int, Observed] = {}
        with self._transaction():
            units = {unit: self._load(unit, layout) for unit in dict.fromkeys(sample.unit for sample in samples)}
            for at in sorted(range(len(samples)), key=lambda at: samples[at].timestamp):
                found[at] = _put(samples[at], units[samples[at].unit].ring)
            self._save(units, layout)
        return [found[at] for at in range(len(samples))]

    def _layout_of(self, signature: Signature) -> Layout:
        """The layout for `signature`, made once for each model."""
        if self._layout is None or self._layout[0] is not signature:
            self._layout = signature, Layout.of(signature, gap_steps=self._gap_steps)
        return self._layout[1]

    def _load(self, unit: str, layout: Layout) -> _Kept:
        """What is known of `unit`, in `layout`, whatever model it was stored for."""
        row = self._connection.execute(
            "SELECT unit.id, newest, times, rows, content FROM unit JOIN layout ON layout.id = layout WHERE name = ?",
            (unit,),
        ).fetchone()
        if row is None:
            return _Kept(None, Ring.empty(layout))
        number, newest, times, rows, content = row
        if content == layout.text:
            return _Kept(number, Ring(layout, newest, bytearray(times), bytearray(rows)))
        stored = Ring(Layout.from_json(content), newest, bytearray(times), bytearray(rows))
        return _Kept(number, stored.converted(layout))

    def _save(self, units: Mapping[str, _Kept], layout: Layout) -> None:
        run = self._connection
        run.execute("INSERT INTO layout (content) VALUES (?) ON CONFLICT DO NOTHING", (layout.text,))
        (number,) = run.execute("SELECT id FROM layout WHERE content = ?", (layout.text,)).fetchone()
        (seen,) = run.execute("SELECT coalesce(max(seen), 0) + 1 FROM unit").fetchone()
        run.executemany(
            "UPDATE unit SET layout = ?, newest = ?, seen = ?, times = ?, rows = ? WHERE id = ?",
            (
                (number, kept.ring.newest, seen, kept.ring.times, kept.ring.rows, kept.id)
                for kept in units.values()
                if kept.id is not None
            ),
        )
        fresh = [
            (name, number, kept.ring.newest, seen, kept.ring.times, kept.ring.rows)
            for name, kept in units.items()
            if kept.id is None
        ]
        if fresh:
            run.executemany(
                "INSERT INTO unit (name, layout, newest, seen, times, rows) VALUES (?, ?, ?, ?, ?, ?)", fresh
            )
            self._forget()

    def _forget(self) -> None:
        """Drop the least recently seen units beyond the maximum."""
        (units,) = self._connection.execute("SELECT count(*) FROM unit").fetchone()
        excess = units - self._maximum_units
        if excess > 0:
            self._connection.execute(
                "DELETE FROM unit WHERE id IN (SELECT id FROM unit ORDER BY seen, id LIMIT ?)", (excess,)
            )
            self.forgotten += excess

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Immediate: what is read in it cannot be changed by another process before it is written."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _open(self) -> None:
        self._connection = open_file(self._path)
        self._identity = identify(self._path)

    def _follow(self) -> None:
        """Go over to the file that lies there now, where somebody has removed or replaced the one that was opened."""
        if self._identity is None:
            self._reopen()
        elif identify(self._path) != self._identity:
            LOG.warning("%s was removed or replaced: units go on with what the file there holds", self._path)
            self._reopen()

    def _replace(self, error: sqlite3.Error) -> None:
        """Start with an empty file in place of a corrupt one."""
        if self._identity is not None:
            move_aside(self._path, identity=self._identity, error=error)
        self._reopen()

    def _reopen(self) -> None:
        self._connection.close()
        # Whatever goes wrong from here on, the next request tries again.
        self._identity = None
        self._open()


def _put(sample: Sample, ring: Ring) -> Observed:
    placed = ring.put((sample.timestamp - EPOCH) // MICROSECOND, sample.values.astype(VALUE, copy=False).tobytes())
    have, missing = ring.history()
    need = ring.layout.steps
    state: State = "complete" if have == need else "filling"
    if placed in ("superseded", "expired"):
        state = "ignored"
    elif placed in ("late", "late, replaced"):
        state = "late"
    window = ring.window() if state == "complete" else None
    return Observed(sample.unit, sample.timestamp, state, have, need, missing, NOTES.get(placed, ""), window)
