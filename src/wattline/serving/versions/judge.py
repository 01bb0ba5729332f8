"""Whether a challenger is worse than it may be, told from live requests, quickly and rarely wrong.

Errors: a cumulative sum of log-likelihood ratios (Page's test) against each of a few rates above the allowed one. A
challenger that fails no more often than allowed is taken back with a probability below
requests x RATES x exp(-EVIDENCE), 0.8 % in 10,000 requests; one that always fails, after 10 requests.

Latency: runs of both versions are compared block by block, side by side in time, and with equally many windows in a
run, since fuller runs are cheaper for each window. The median over blocks decides, so that one stall does not.
"""

import math
from collections import deque
from statistics import median
from typing import Literal

from wattline.params.serving import CanaryParams

Role = Literal["stable", "canary", "shadow"]
Reason = Literal["errors", "latency"]

EVIDENCE = 16.0
"""Logarithm of the odds at which a rate of errors counts as too high."""
RATES = 7
"""Rates above the allowed one that are looked for, evenly spaced between it and 1 on a logarithmic scale."""
LOWEST_RATE = 1e-4
"""A lower allowed rate is taken for this one: a single failure never decides."""
FAILURES_IN_A_ROW = 10
"""So many, from the first request on, end a trial before it has its minimum of requests."""
BLOCKS = 9
"""Comparisons of latency that are looked at together."""
RUNS_IN_A_BLOCK = 10
STABLE_SHARE = 0.2
"""Least runs of the champion in a block, as a share of the challenger's."""


class Judge:
    """Judges one challenger. Every call takes microseconds and all of its memory is bounded."""

    def __init__(self, params: CanaryParams) -> None:
        self._minimum = params.minimum_requests
        self._errors = _Errors(params.maximum_error_rate)
        self._latency = _Latency(params.maximum_latency_ratio)
        self._requests = 0

    def counted(self, role: Role, *, ok: bool) -> None:
        """Note one request: whether it got an answer, and a finite score where its window was finite."""
        if role != "stable":
            self._requests += 1
            self._errors.count(ok=ok)

    def timed(self, role: Role, *, windows: int, seconds: float) -> None:
        """Note one run of the graph: how many windows it answered, and how long it took [s]."""
        self._latency.time(windows, seconds, challenger=role != "stable")

    def verdict(self) -> Reason | None:
        """Why the challenger must go, or None."""
        enough = self._requests >= self._minimum
        if self._errors.hopeless or (enough and self._errors.too_many):
            return "errors"
        return "latency" if enough and self._latency.too_slow else None


class _Errors:
    """Evidence that failures are more frequent than `allowed`.

    hopeless: nothing but failures so far, and too many to be bad luck
    too_many: there is enough evidence
    """

    def __init__(self, allowed: float) -> None:
        rate = max(allowed, LOWEST_RATE)
        self._rates = [] if rate >= 1 else [rate ** (1 - step / (RATES + 1)) for step in range(1, RATES + 1)]
        # What one failure and one success add to the evidence for each rate.
        self._failure = [math.log(worse / rate) for worse in self._rates]
        self._success = [math.log((1 - worse) / (1 - rate)) for worse in self._rates]
        self._sums = [0.0] * len(self._rates)
        self._only_failures = bool(self._rates)
        self._in_a_row = max(FAILURES_IN_A_ROW, math.ceil(EVIDENCE / -math.log(rate))) if self._rates else 0
        self._failures, self._suspicion = 0, 0.0
        self.hopeless = self.too_many = False

    def count(self, *, ok: bool) -> None:
        if ok:
            self._only_failures = False
            if not self._suspicion:  # almost always, and nothing that a success could lessen
                return
        steps = self._success if ok else self._failure
        self._sums = [max(0.0, total + step) for total, step in zip(self._sums, steps, strict=True)]
        self._suspicion = max(self._sums, default=0.0)
        self._failures += not ok
        self.too_many = self._suspicion >= EVIDENCE
        self.hopeless = self._only_failures and self._failures >= self._in_a_row


class _Latency:
    """Whether the challenger takes more than `allowed` times what the champion takes for the same.

    too_slow: it does, in more than half of the last blocks
    """

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self._ratios: deque[float] = deque(maxlen=BLOCKS)
        self._stable, self._challenger = _Runs(), _Runs()
        self.too_slow = False

    def time(self, windows: int, seconds: float, *, challenger: bool) -> None:
        (self._challenger if challenger else self._stable).add(windows, seconds)
        if self._challenger.count < RUNS_IN_A_BLOCK or self._stable.count < STABLE_SHARE * self._challenger.count:
            return
        expected = sum(self._stable.most(size) * count for size, (count, _) in self._challenger.sizes.items())
        if expected > 0:
            self._ratios.append(self._challenger.seconds / expected)
        self.too_slow = len(self._ratios) == BLOCKS and median(self._ratios) > self._allowed
        self._stable, self._challenger = _Runs(), _Runs()


class _Runs:
    """Runs of one version in one block.

    sizes: windows in a run -> how many such runs, and how long they took together [s]
    """

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        self.sizes: dict[int, tuple[int, float]] = {}

    def add(self, windows: int, seconds: float) -> None:
        count, total = self.sizes.get(windows, (0, 0.0))
        self.sizes[windows] = (count + 1, total + seconds)
        self.count += 1
        self.seconds += seconds

    def most(self, windows: int) -> float:
        """Mean time of a run of this size, or what it can be at most: that of a fuller one, or in proportion [s]."""
        size = min((one for one in self.sizes if one >= windows), default=max(self.sizes))
        count, total = self.sizes[size]
        return total / count * max(1.0, windows / size)
