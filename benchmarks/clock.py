"""What benchmarks share: timing in turns, and figures beside their limits."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured figure and the limit that it must keep.

    at_least: the limit is a floor, not a ceiling
    """

    name: str
    measured: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def passed(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        outcome = "PASS" if self.passed else "FAIL"
        return (
            f"{outcome}  {self.name:<44}{self.measured:>9.3f} {self.unit:<4} {sign} {self.limit:g} {self.unit}".rstrip()
        )


def conclude(figures: Sequence[Figure]) -> int:
    """Print every figure; the exit code, 0 when all pass."""
    for figure in figures:
        print(figure)
    return 0 if all(figure.passed for figure in figures) else 1


def in_turns(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of every call in each round. The order alternates, so that a busy moment does not hit one alone."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls)[:: 1 if turn % 2 == 0 else -1]:
            begin = clock()
            calls[name]()
            seconds[name].append(clock() - begin)
    return seconds


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median over rounds of the ratio within a round."""
    return median(above / below for above, below in zip(numerator, denominator, strict=True))
