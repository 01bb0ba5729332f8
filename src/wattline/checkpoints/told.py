"""What a process was told by a signal while it trains: SIGUSR1 before its time limit, SIGTERM or Ctrl-C to end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from wattline.errors import EndedError, PausedError

NOTICE = signal.SIGUSR1
"""The time limit is near. Whoever sends it lets the training begin again."""
ENDS = (signal.SIGTERM, signal.SIGINT)
"""Somebody wants it to end, and alone knows whether it begins again."""


class Told:
    """Which signal this process was sent, and whether its training will do something about it.

    by: the last one that matters; one that ends it counts more than a notice
    heeded: whether the training asks; one that does not is ended by SIGTERM at once, as any other program
    """

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self.heeded = False

    @property
    def to_end(self) -> bool:
        """Whether it is to end even where nothing can be kept any more."""
        return self.by in ENDS

    def error(self, said: str) -> PausedError:
        """Why the training ends: by the order of a signal, or before its time limit."""
        if self.by is not None and self.to_end:
            return EndedError(f"ended by {self.by.name}; {said}", signal_number=self.by)
        return PausedError(f"paused; {said}")

    def hear(self, number: int, _frame: FrameType | None = None) -> None:
        """Handle a signal. Who presses Ctrl-C twice does not want to wait for the end of a step.

        A second SIGTERM says nothing new: Slurm sends one to the processes and one to srun, which passes it on.
        """
        if number == NOTICE:
            self.by = self.by or NOTICE
        elif not self.to_end:
            self.by = signal.Signals(number)
            if not self.heeded:
                self._leave(number)
        elif number == signal.SIGINT:
            self._leave(number)

    def _leave(self, number: int) -> NoReturn:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


@contextmanager
def listening() -> Iterator[Told]:
    """Take signals down while the block lasts. Outside the main thread nothing is heard."""
    told = Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    former = {number: signal.signal(number, told.hear) for number in (NOTICE, *ENDS)}
    try:
        yield told
    finally:
        for number, handler in former.items():
            # A notice that comes too late would kill a process that is done.
            late = number == NOTICE and handler is signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if late else handler)
