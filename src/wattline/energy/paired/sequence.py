"""How sure a mean is, when it is looked at several times and may end the session each time."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from wattline.errors import InputError

# More than any session takes.
MANY = 10_000
# Standard errors beyond which nothing is in doubt; the series behind scipy's noncentral t underflows near 38.
CERTAIN = 30.0


class Bounds(NamedTuple):
    """Mean of log-ratios with its bounds, and their standard deviation; NaN for fewer than two."""

    mean: float
    low: float
    high: float
    deviation: float

    @property
    def ratio(self) -> float:
        return ratio(self.mean)

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the ratio."""
        return ratio(self.low), ratio(self.high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.ratio:.4f} [{low:.4f}, {high:.4f}]"


def ratio(log_ratio: float) -> float:
    """What it is the logarithm of; infinity beyond what a float holds, which garbage readings reach."""
    try:
        return math.exp(log_ratio)
    except OverflowError:
        return math.inf


def looks(minimum: int, maximum: int) -> tuple[int, ...]:
    """Numbers of pairs at which a session is judged: `minimum`, doubled until `maximum`, which is the last.

    Raises InputError when there is no such number.
    """
    if not 1 < minimum <= maximum:
        raise InputError(
            f"params.yaml: measure.session.maximum_blocks must be at least minimum_blocks ({minimum}), got {maximum}"
        )
    doubled = (minimum * 2**times for times in range(maximum.bit_length()))
    return (*(look for look in doubled if look < maximum), maximum)


def level(blocks: int, *, minimum: int, maximum: int, alpha: float) -> float:
    """Risk that the look at so many blocks may take, so that all looks together take `alpha`.

    alpha * (blocks / maximum)^2 is spent by then (Lan and DeMets 1983, doi 10.1093/biomet/70.3.659; this function of
    time: Kim and DeMets 1987, doi 10.1093/biomet/74.1.149, rho = 2), and a look takes what was spent since the one
    before. Their looks may take a little more, because looks share data; ours add up as Bonferroni's do, which holds
    for any dependence, and wherever a single look holds. Early looks take little: only a clear case ends there.
    """
    before = max((look for look in looks(minimum, maximum) if look < blocks), default=0)
    return alpha * (blocks**2 - before**2) / maximum**2


def bounds(log_ratios: Sequence[float], *, level: float) -> Bounds:
    """Mean of log-ratios with two bounds, each of which misses the true mean with risk `level`: Student's t.

    It rests on independent blocks. They need not be equally noisy: at risks up to 2.5 % the quantile of t also holds
    for any mixture of normal noise, quiet and busy blocks and heavy tails among them (Bakirov and Szekely 2005,
    Zapiski Nauchnykh Seminarov POMI 328). Skewed noise becomes symmetric in a block, where A and B both have it.
    benchmarks/energy_test.py shows what is left with real noise.
    """
    from scipy.special import stdtrit  # half a second to import, which most commands need not wait for

    if len(log_ratios) < 2 or not all(map(math.isfinite, log_ratios)):
        return Bounds(math.nan, math.nan, math.nan, math.nan)
    mean, deviation = fmean(log_ratios), stdev(log_ratios)
    half = float(stdtrit(len(log_ratios) - 1, 1 - level)) * deviation / math.sqrt(len(log_ratios))
    return Bounds(mean, mean - half, mean + half, deviation)


def blocks_needed(deviation: float, *, margin: float, level: float, power: float) -> int:
    """Least n at which a candidate that costs the same passes with chance `power`; `MANY` for that many and more.

    With s the standard deviation of a block's log-ratio, the test passes when t exceeds its quantile of n - 1 degrees
    of freedom, and t is noncentral with log(1 + margin) * sqrt(n) / s (Julious 2004, doi 10.1002/sim.1783, section
    on non-inferiority). A block holds two readings of each, so that s is the coefficient of variation of a reading;
    single pairs, where s is sqrt(2) times that, need twice as many.

    deviation: s
    level: one-sided risk at the last look
    """
    enough = (blocks for blocks in range(2, MANY) if _chance(blocks, deviation, margin=margin, level=level) >= power)
    return next(enough, MANY)


def _chance(blocks: int, deviation: float, *, margin: float, level: float) -> float:
    """Chance that `blocks` blocks of a candidate that costs the same pass."""
    from scipy.special import nctdtr, stdtrit

    errors = math.log1p(margin) * math.sqrt(blocks) / deviation if deviation else CERTAIN
    return float(1 - nctdtr(blocks - 1, min(errors, CERTAIN), stdtrit(blocks - 1, 1 - level)))
