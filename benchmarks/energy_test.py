"""How often is the energy test right? Thousands of sessions with this machine's own noise, and the real judgement.

python benchmarks/energy_test.py           2,000 sessions of each kind
python benchmarks/energy_test.py --quick   300 of each

First the noise: CPU time of equal work in two processes that take turns. Its residuals are replayed, as they are and
scaled to meters of other precision. Every random choice comes from one seed; the noise is this machine's of today.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from clock import Figure, conclude
from sessions import faults
from sessions.noise import Noise, measure
from sessions.simulated import LIMITS, SESSION, Fault, answer, readings

from wattline.energy.paired import Judgement

SEED = 7
SPREADS = (0.01, 0.02, 0.03, 0.05, 0.1)
WITHOUT_ORDER = (0.02, 0.05, 0.1)
PRECISE = 0.03
MARGIN = 1 + LIMITS.margin
REGRESSION = 1 + 2 * LIMITS.margin
COLUMNS = f"{'':<52}{'PASS':>8}{'FAIL':>8}{'REFUSE':>8}{'pairs':>7}"


@dataclass(frozen=True)
class Outcomes:
    """Of all sessions of one kind."""

    judgements: list[Judgement]

    def share(self, outcome: str) -> float:
        """In percent."""
        return 100 * Counter(found.outcome for found in self.judgements)[outcome] / len(self.judgements)

    def row(self, name: str) -> str:
        pairs = np.mean([found.blocks for found in self.judgements])
        shares = "".join(f"{self.share(outcome):>7.1f}%" for outcome in ("PASS", "FAIL", "REFUSE"))
        return f"{name:<52}{shares}{pairs:>7.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="300 sessions of each kind")
    quick = parser.parse_args().quick
    noise = measure(160 if quick else 400)
    print(
        f"noise of this machine: {len(noise.residuals)} windows of {noise.seconds:.3f} s CPU time vary by "
        f"{noise.spread:.2%}, kurtosis {noise.kurtosis:.1f} (normal: 3), correlation of neighbours "
        f"{noise.correlation:.2f}; ratio of two equal processes {noise.difference}"
    )
    print(
        f"margin {LIMITS.margin:.0%}, alpha {LIMITS.alpha:.0%}, power {LIMITS.power:.0%}, "
        f"{SESSION.minimum_blocks} to {SESSION.maximum_blocks} pairs of four readings\n"
    )
    sessions = 300 if quick else 2000
    return conclude([*risks(noise, sessions), *refusals(noise, sessions), swapped(noise, sessions)])


def simulate(
    noise: Noise, sessions: int, *, ratio: float = 1.0, spread: float, bias: float = 0.0, fault: Fault | None = None
) -> Outcomes:
    """Sessions that differ in their noise alone. All kinds start from one seed, so that they share it."""
    random = np.random.default_rng(SEED)
    judgements = []
    for _ in range(sessions):
        found = readings(random, noise, ratio=ratio, spread=spread, bias=bias)
        if fault is not None:
            fault(found, random)
        judgements.append(answer(found))
    return Outcomes(judgements)


def risks(noise: Noise, sessions: int) -> Iterator[Figure]:
    """Wrong answers, and how often there is one at all: with noise in its order, and without."""
    print(COLUMNS)
    kinds = {
        **{f"CV {spread:.0%}": (noise, spread) for spread in SPREADS},
        "as here": (noise, noise.spread),
        **{f"CV {spread:.0%}, no order": (noise.shuffled(), spread) for spread in WITHOUT_ORDER},
    }
    for kind, (replayed, spread) in kinds.items():
        equal = simulate(replayed, sessions, spread=spread)
        print(equal.row(f"{kind}: A/A"))
        limit = simulate(replayed, sessions, ratio=MARGIN, spread=spread)
        print(limit.row(f"{kind}: {MARGIN:.2f} times, the very margin"))
        worse = simulate(replayed, sessions, ratio=REGRESSION, spread=spread)
        print(worse.row(f"{kind}: {REGRESSION:.2f} times, twice the margin"), flush=True)
        yield Figure(f"{kind}: A/A that fail", equal.share("FAIL"), 5, "%")
        yield Figure(f"{kind}: at the very margin that pass", limit.share("PASS"), _with_chance(sessions), "%")
        yield Figure(f"{kind}: twice the margin, not passed", 100 - worse.share("PASS"), 95, "%", at_least=True)
        if spread < PRECISE:
            yield Figure(f"{kind}: twice the margin that fail", worse.share("FAIL"), 90, "%", at_least=True)
    print(simulate(noise, sessions, spread=0.002, bias=0.003).row("CV 0.2 %, processes differ by 0.3 %: A/A"))
    print(simulate(noise, sessions, spread=0.002, bias=0.03).row("CV 0.2 %, processes differ by 3 %: A/A"))


def _with_chance(sessions: int) -> float:
    """Alpha, and what chance adds in one simulation of a hundred (normal approximation) [%]."""
    return round(100 * (LIMITS.alpha + 2.33 * math.sqrt(LIMITS.alpha * (1 - LIMITS.alpha) / sessions)), 2)


def refusals(noise: Noise, sessions: int) -> Iterator[Figure]:
    """Sensors and conditions under which there must be no answer."""
    print()
    yield _refused("bad sensors", faults.SENSORS, noise, sessions)
    yield _refused("bad conditions", faults.CONDITIONS, noise, sessions)
    yield _refused("estimates called measured", faults.ESTIMATES, noise, sessions)
    for name, fault in faults.DISGUISED.items():
        print(simulate(noise, sessions, spread=0.01, fault=fault).row(f"not found out: {name}"))
    print()


def _refused(kind: str, all_faults: Mapping[str, Fault], noise: Noise, sessions: int) -> Figure:
    """Of equal contenders and a precise meter, which would pass, with one fault: the least share that is refused."""
    shares = []
    for name, fault in all_faults.items():
        outcomes = simulate(noise, sessions, spread=0.01, fault=fault)
        print(outcomes.row(name), flush=True)
        shares.append(outcomes.share("REFUSE"))
    return Figure(f"{len(shares)} {kind}: refused of each", min(shares), 100, "%", at_least=True)


def swapped(noise: Noise, sessions: int) -> Figure:
    """Largest deviation of the log-ratio from its negative when contenders change their names."""
    random = np.random.default_rng(SEED)
    worst = 0.0
    for _ in range(sessions):
        found = readings(random, noise, ratio=1.05, spread=0.01)
        before = answer(found)
        pairs = ~found.control
        found.candidate[pairs] = ~found.candidate[pairs]
        found.first[pairs] = ~found.first[pairs]
        after = answer(found)
        if before.blocks == after.blocks:
            worst = max(worst, abs(math.log(before.ratio) + math.log(after.ratio)))
    return Figure("swapped: |log-ratio + its opposite|", worst, 1e-12)


if __name__ == "__main__":
    sys.exit(main())
