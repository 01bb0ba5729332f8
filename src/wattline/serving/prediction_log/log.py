"""Writes down what was answered, and what people said about it, without making anybody wait."""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from wattline.params.serving import LogParams
from wattline.predictions import ANSWERS, FEEDBACK, FEEDBACK_FOLDER
from wattline.serving.ids import new_id
from wattline.serving.prediction_log.lane import Lane, Row
from wattline.serving.prediction_log.partitions import Partitions
from wattline.serving.protocol.feedback import Feedback
from wattline.task import FloatArray

HELD_BYTES = 64 * 1024**2
"""Windows that wait for their digest, all together."""
LONGEST_TEXT = 256


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
        self._released = 0
        self._held = 0
        self._answers = Lane(
            answers, what="answers", instant=1, finish=self._finished, on_write=on_write, on_drop=on_drop
        )
        self._feedback = Lane(feedback, what="items of feedback", instant=2, finish=lambda row: row)
        # Half of it to wait, half of it to write: together no longer than promised.
        self._seconds = params.flush_seconds / 2
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)
        self._thread.start()

    def record(  # noqa: PLR0917  by place, because names would cost as much again
        self,
        id: str,  # noqa: A002
        answered_ns: int,
        unit: str,
        window: FloatArray,
        score: float | None,
        threshold: float | None,
        alarm: bool | None,
        model: str,
        version: str,
        digest: str,
        route: str,
        principal: str,
        role: str,
    ) -> None:
        """Queue one answer; to be called on the event loop only. Never waits, and raises nothing.

        answered_ns: since 1970 [ns]; window: (steps, columns) float32, copied; score, threshold: None or NaN for none.
        Everything else is what `wattline.predictions.ANSWERS` says. The arguments go by place: this costs about 1 us.
        """
        lane, size = self._answers, window.nbytes
        waiting = len(lane.queue) + lane.taken
        held = self._held - self._released + size
        if waiting >= self._most or held > HELD_BYTES or self._closed:
            self._on_drop(1)
            return
        self._held += size
        content, unit = window.tobytes(), unit[:LONGEST_TEXT]
        lane.queue.append(
            (id, answered_ns, unit, content, score, threshold, alarm, model, version, digest, route, principal, role)
        )
        if (2 * waiting > self._most or 2 * held > HELD_BYTES) and not self._wake.is_set():
            self._wake.set()

    def feedback(self, items: Sequence[Feedback], *, principal: str) -> bool:
        """Queue feedback of `principal`, all of it or, when there is no room, none. On the event loop only.

        returns: whether it was accepted
        """
        lane = self._feedback
        waiting = lane.waiting
        if self._closed or (waiting and waiting + len(items) > self._most):
            return False
        now, by = time.time_ns() // 1000, _text(principal)
        lane.queue.extend((new_id(), one.prediction, now, one.label, one.comment, one.at, by) for one in items)
        return True

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

    def _finished(self, row: Row) -> Row:
        """What is written of a queued answer: the digest in place of the window, nothing that a file cannot hold."""
        name, answered, unit, window, score, threshold, alarm, model, version, digest, route, principal, role = row
        self._released += len(window)
        sha256, unit, principal = hashlib.sha256(window).hexdigest(), _text(unit), _text(principal)
        figures = (_number(score), _number(threshold), alarm)
        return (name, answered // 1000, unit, sha256, *figures, model, version, digest, route, principal, role)


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(value: str) -> str:
    """`value` in a form that UTF-8 can hold: a caller's string may be half a character."""
    return (value if value.isascii() else value.encode(errors="replace").decode())[:LONGEST_TEXT]
