"""How much may wait: who has no room, or would be answered too late, is told so at once."""

import math

from wattline.serving.refusal import RefusedError

SLOWEST_RETRY_SECONDS = 30


class Queue:
    """How many windows of all requests wait or run, whichever model they are for.

    running: runs of the graph that threads are at
    """

    def __init__(self, limit: int, *, share: float = 1.0) -> None:
        """limit: windows; share: of a request's time that the windows before it may take"""
        self.limit = limit
        self.windows = self.running = 0
        self.seconds_per_window = 0.0
        self._share = share

    def check(self, count: int, seconds: float) -> None:
        """Raise RefusedError 503 where `count` more windows have no room, or would wait too long for their answers.

        Who would be answered too late is better told at once, while there is time to ask elsewhere; and what is
        computed for nobody costs others theirs. A request larger than the queue is let into an empty one.
        seconds: until the deadline
        """
        waiting = self.windows
        if not waiting:
            return
        expected = waiting * self.seconds_per_window
        if waiting + count > self.limit:
            reason = f"{waiting} windows wait already, at most {self.limit} may"
        elif expected > max(0.0, self._share * seconds):
            reason = f"the {waiting} windows that wait already will take {expected:.2g} s, too long for {seconds:.2g} s"
        else:
            return
        after = min(SLOWEST_RETRY_SECONDS, max(1, math.ceil(expected)))
        raise RefusedError(
            f"{reason}; ask again in {after} s", status=503, reason="queue", headers={"Retry-After": str(after)}
        )
