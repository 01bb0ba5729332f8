"""Writes down what was answered, and what people said about it, without making anybody wait."""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from wattline.params.serving import LogParams
from wattline.predictions import ANSWERS, FEEDBACK, FEEDBACK_FOLDER
from wattline.serving.ids import new_id
from wattline.serving.prediction_log.lane import CHUNK_ROWS, DAY_MICROSECONDS, Lane, Row
from wattline.serving.prediction_log.partitions import Partitions
from wattline.serving.protocol.feedback import Feedback
from wattline.task import FloatArray

LONGEST_TEXT = 256


class Answers(NamedTuple):
    """What one version answered to one request, in columns of `wattline.predictions.ANSWERS`.

    id: of the request; the answer to the n-th of several windows is called id.n
    answered_ns: since 1970 [ns]
    units, digests, scores, thresholds: one of each for every window; NaN for no number
    digests: SHA-256, as predictions.ANSWERS says
    thresholds: None where the graph has none
    first: place of the first window in its request
    single: whether there is no other window in that request
    """

    id: str
    answered_ns: int
    units: Sequence[str]
    digests: Sequence[str]
    scores: Sequence[float]
    thresholds: Sequence[float] | None
    model: str
    version: str
    digest: str
    route: str
    principal: str
    role: str
    single: bool
    first: int = 0

    def part(self, start: int, stop: int) -> Self:
        """The answers to some of the windows."""
        return self._replace(
            units=self.units[start:stop],
            digests=self.digests[start:stop],
            scores=self.scores[start:stop],
            thresholds=None if self.thresholds is None else self.thresholds[start:stop],
            first=self.first + start,
        )


class PredictionLog:
    """The log of one process: a bounded queue, and a thread that empties it into files.

    What is in `wattline.predictions` says how the files are laid out and read. When the queue is full, or the disk
    takes nothing, answers are dropped and counted; feedback is kept until there is no more room for it.
    """

    def __init__(
        self,
        params: LogParams,
        *,
        worker: str,
        on_drop: Callable[[int], None],
        on_write: Callable[[int], None] | None = None,
    ) -> None:
        """Start the thread; so call this after any fork.

        worker: names the files, up to 63 letters, digits, '.', '_' and '-'
        on_drop, on_write: told how many answers were lost or are in a file now; called from any thread
        Raises InputError when `worker` cannot be part of a file's name. A folder that cannot be written is no error.
        """
        folder = Path(params.folder)
        self._most, self._on_drop = params.queue_records, on_drop
        answers = Partitions(folder, worker=worker, columns=ANSWERS)
        feedback = Partitions(folder / FEEDBACK_FOLDER, worker=worker, columns=FEEDBACK)
        self._answers: Lane[Answers] = Lane(
            answers, what="answers", day=_day_of_answers, rows=_rows, on_write=on_write, on_drop=on_drop
        )
        self._feedback: Lane[Row] = Lane(
            feedback, what="items of feedback", day=_day_of_feedback, rows=lambda rows: rows
        )
        # Half of it to wait, half of it to write: together no longer than promised.
        self._seconds = params.flush_seconds / 2
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)
        self._thread.start()

    def record(self, answers: Answers) -> None:
        """Queue the answers to one request; to be called on the event loop only. Never waits, and raises nothing."""
        count = len(answers.scores)
        if count > CHUNK_ROWS:
            for first in range(0, count, CHUNK_ROWS):
                self.record(answers.part(first, first + CHUNK_ROWS))
            return
        lane = self._answers
        waiting = lane.waiting + count
        if waiting > self._most or self._closed:
            self._on_drop(count)
            return
        lane.put(answers, count)
        if 2 * waiting > self._most:
            self.flush()

    def feedback(self, items: Sequence[Feedback], *, principal: str) -> bool:
        """Queue feedback of `principal`, all of it or, when there is no room, none. On the event loop only.

        returns: whether it was accepted
        """
        lane = self._feedback
        waiting = lane.waiting
        if self._closed or (waiting and waiting + len(items) > self._most):
            return False
        now, by = time.time_ns() // 1000, _text(principal)
        for one in items:
            lane.put((new_id(), one.prediction, now, one.label, one.comment, one.at, by), 1)
        return True

    def flush(self) -> None:
        """Let everything that waits be written soon, before its time."""
        if not self._wake.is_set():
            self._wake.set()

    def close(self, *, seconds: float = 10.0) -> None:
        """Write down everything that waits. What a disk has not taken after `seconds` is lost, and counted."""
        if self._closed:
            return
        self._closed = True
        lanes = (self._answers, self._feedback)
        for lane in lanes:
            lane.partitions.pause = 0.0
        self._wake.set()
        self._thread.join(seconds)
        for lane in lanes:
            lane.give_up()

    def _work(self) -> None:
        lanes = (self._answers, self._feedback)
        for lane in lanes:
            lane.partitions.open()
        while not self._closed:
            self._wake.wait(self._seconds)
            self._wake.clear()
            for lane in lanes:
                lane.flush()
        for lane in lanes:
            lane.flush()
            lane.partitions.close()


def digest(window: FloatArray) -> str:
    """Of a window, as predictions.ANSWERS says."""
    return hashlib.sha256(np.ascontiguousarray(window).data).hexdigest()


def _rows(entries: Sequence[Answers]) -> list[Row]:
    """What is written of queued answers: nothing that a file cannot hold."""
    rows: list[Row] = []
    for answers in entries:
        identity = (
            answers.model,
            answers.version,
            answers.digest,
            answers.route,
            _text(answers.principal),
            answers.role,
        )
        microseconds = answers.answered_ns // 1000
        limits = repeat(math.nan) if answers.thresholds is None else answers.thresholds
        windows = zip(answers.units, answers.digests, answers.scores, limits, strict=False)
        for at, (unit, sha256, score, limit) in enumerate(windows, start=answers.first):
            rows.append((
                answers.id if answers.single else f"{answers.id}.{at}",
                microseconds,
                _text(unit),
                sha256,
                score if math.isfinite(score) else None,
                limit if math.isfinite(limit) else None,
                None if math.isnan(score - limit) else score > limit,
                *identity,
            ))  # fmt: skip
    return rows


def _text(value: str) -> str:
    """`value` in a form that UTF-8 can hold: a caller's string may be half a character."""
    return (value if value.isascii() else value.encode(errors="replace").decode())[:LONGEST_TEXT]


def _day_of_answers(answers: Answers) -> int:
    return answers.answered_ns // (1000 * DAY_MICROSECONDS)


def _day_of_feedback(row: Row) -> int:
    received: int = row[2]
    return received // DAY_MICROSECONDS
