"""Does the energy of one and the same model come out the same again, and what does asking cost?

python benchmarks/energy_repeat.py [--sessions N] [--meter NAME] [--sample-seconds S]

A model is tested alone, in N sessions on this machine, one after the other. A figure is what `wattline run measure`
reports: joules for 1,000 predictions, without idle power, by the meter that is named.

repeat      largest deviation of a session's figure from the median of all: at most 5 %
overhead    share of a session that is spent on neither samples, idling nor warming up: at most 2 %
instruments share of the CPU time in samples that was ours, and not the contender's (estimate only): at most 2 %
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from clock import Figure, conclude

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]
from measuring import contenders  # noqa: E402
from stages.conftest import Scorer  # noqa: E402

from wattline import params  # noqa: E402
from wattline.energy import meters  # noqa: E402
from wattline.energy.paired import per_1000  # noqa: E402
from wattline.measuring import contest  # noqa: E402
from wattline.measuring.contest import Rules  # noqa: E402
from wattline.params import Block  # noqa: E402
from wattline.progress import progress  # noqa: E402
from wattline.records import EnergyTest  # noqa: E402

LARGEST_DEVIATION = 0.05
LARGEST_OVERHEAD = 0.02
SESSIONS = 5


def main() -> int:
    """Print every session, and every figure beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--meter", default="estimate")
    parser.add_argument("--sample-seconds", type=float, help="default: that of params.yaml")
    given = parser.parse_args()
    block = chosen(given.meter, given.sample_seconds)
    with TemporaryDirectory(prefix="wattline-") as folder:
        contenders.write(Path(folder) / "candidate")
        tests = [session(Path(folder) / "candidate", block, seed=seed) for seed in range(given.sessions)]
    return conclude(figures(tests, block))


def chosen(meter: str, sample_seconds: float | None) -> Block:
    """The knobs of params.yaml, with another meter and another length of samples."""
    block = params.load(ROOT / "params.yaml").block
    energy = block.energy.model_copy(update={"meter": meter})
    update = {"sample_seconds": sample_seconds or block.measure.session.sample_seconds}
    measure = block.measure.model_copy(update={"session": block.measure.session.model_copy(update=update)})
    return block.model_copy(update={"energy": energy, "measure": measure})


def session(candidate: Path, block: Block, *, seed: int) -> EnergyTest:
    """One session with the candidate alone. Ends the benchmark where it broke off."""
    with progress("energy") as say:
        test = contest.hold(
            {"candidate": candidate},
            contenders.labelled(),
            meter=meters.choose(block.energy),
            task=Scorer(),
            rules=Rules(block.measure, block.gates),
            seed=seed,
            say=say,
        )
    if test.problem is not None:
        sys.exit(f"benchmarks/energy_repeat.py: {test.problem}")
    joules = per_1000(test, "candidate").joules
    others = median(sample.other_cores for block in test.blocks for sample in block.samples)
    print(
        f"      {joules:.5g} J per 1,000 predictions in {test.seconds:.1f} s, {others:.2f} cores busy with other things"
    )
    return test


def figures(tests: Sequence[EnergyTest], block: Block) -> list[Figure]:
    joules = [per_1000(test, "candidate").joules for test in tests]
    deviation = max(abs(one / median(joules) - 1) for one in joules)
    found = [
        Figure(f"repeat, over {len(tests)} sessions", deviation, LARGEST_DEVIATION),
        Figure("overhead, of the worst session", max(test.overhead for test in tests), LARGEST_OVERHEAD),
    ]
    if tests[0].sensor.scope == "processes":
        found.append(Figure("instruments inside of samples", instruments(tests, block), LARGEST_OVERHEAD))
    return found


def instruments(tests: Sequence[EnergyTest], block: Block) -> float:
    """Share of the CPU time that an estimate counted in the samples, and that was not the contender's."""
    samples = [sample for test in tests for one in test.blocks for sample in one.samples]
    watts = block.energy.watts_per_core * (1 + block.energy.idle_share)
    counted = sum(sample.joules for sample in samples) / watts
    return 1 - sum(sample.cpu_seconds for sample in samples) / counted


if __name__ == "__main__":
    sys.exit(main())
