"""How often one caller may ask: a token bucket for each name."""

from collections.abc import Callable

ROUNDING_SECONDS = 1e-6
"""What sums of binary fractions may be off by; nobody waits for so little."""

LONGEST_SECONDS = 1e9
"""Between two requests; a rate that is next to nothing is not an infinite wait [s]."""

FEW = 1024
"""Buckets that are kept without asking which of them are full again."""


class Rate:
    """A bucket for each caller, written as one number: the instant at which it will be full again.

    A bucket that is full says no more than one that is not there, so forgetting those keeps the memory bounded by the
    callers of the last `burst / per_second` seconds.
    """

    def __init__(self, per_second: float, burst: int, *, clock: Callable[[], float]) -> None:
        """Every bucket holds `burst` requests and gets `per_second` a second [1/s]; 0: without limit.

        clock: seconds, monotonic
        """
        self._clock = clock
        self._interval = min(1 / per_second, LONGEST_SECONDS) if per_second else 0.0
        self._emptiest = self._interval * (burst - 1)
        self._full: dict[str, float] = {}
        self._enough = FEW

    def spend(self, name: str) -> float:
        """Take one request out of the bucket of `name`. Returns 0, or how long none will be in it [s]."""
        if not self._interval:
            return 0.0
        now = self._clock()
        full = max(self._full.get(name, now), now)
        wait = full - now - self._emptiest
        if wait > ROUNDING_SECONDS:
            return wait
        self._full[name] = full + self._interval
        if len(self._full) > self._enough:
            self._forget(now)
        return 0.0

    def __len__(self) -> int:
        """Buckets that are kept."""
        return len(self._full)

    def _forget(self, now: float) -> None:
        """Drop the full buckets. The next time is when there are twice as many, so that each request pays little."""
        self._full = {name: full for name, full in self._full.items() if full > now}
        self._enough = max(FEW, 2 * len(self._full))
