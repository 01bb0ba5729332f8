"""How much faster is `project.scores.vus_pr` than TSB-AD's, at the same value?

python benchmarks/vus_pr.py                    both on every SMD machine under $WATTLINE_DATA_MIRROR/smd
python benchmarks/vus_pr.py --write-reference  TSB-AD's values of constructed cases, for tests/project/test_scores.py

TSB-AD asks for numpy 1 and much else, so this script makes it an environment of its own on first use.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".wattline" / "benchmarks" / "tsb-ad"
REFERENCE = ROOT / "tests" / "project" / "vus_pr_reference.json"
TSB_AD = "TSB-AD==1.5"
# What TSB-AD's evaluation module imports, and the last parquet reader for numpy 1; the rest serves its detectors.
REQUIREMENTS = ("numpy>=1.24.3,<2", "scikit-learn>=1.3.2", "pyarrow<20")

MINIMUM_SPEEDUP = 20
MAXIMUM_DIFFERENCE = 1e-9
MAXIMUM_BUFFER = 100
ROUNDS = 3

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Score = Callable[[Integers, Floats, int], float]


@dataclass(frozen=True)
class Timing:
    """Both implementations on one machine: VUS-PR and the median time of `ROUNDS` interleaved runs [s]."""

    machine: str
    ours: float
    theirs: float
    our_seconds: float
    their_seconds: float

    @property
    def difference(self) -> float:
        return abs(self.ours - self.theirs)

    @property
    def ratio(self) -> float:
        return self.their_seconds / self.our_seconds

    def __str__(self) -> str:
        values = f"{self.machine:<14}{self.ours:>10.6f}{self.theirs:>10.6f}{self.difference:>12.1e}"
        return f"{values}{self.our_seconds:>10.4f}{self.their_seconds:>10.3f}{self.ratio:>8.0f}"


@dataclass(frozen=True)
class Case:
    """One constructed series; scores are integers because VUS-PR depends on their order only."""

    name: str
    segments: list[tuple[int, int]]
    scores: list[int]
    maximum_buffer: int

    def labels(self) -> Integers:
        """(time,) 1 in every start:stop of the segments."""
        labels = np.zeros(len(self.scores), dtype=np.int64)
        for start, stop in self.segments:
            labels[start:stop] = 1
        return labels


def main() -> int:
    """Run inside TSB-AD's environment, entering it first where needed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-reference", action="store_true", help=f"write {REFERENCE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    if Path(sys.prefix).resolve() != ENVIRONMENT.resolve():
        return enter_environment()
    return write_reference() if arguments.write_reference else compare_on_smd()


def enter_environment() -> int:
    """Make the environment if it is missing, and run this script again inside it."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    # Installing again costs a second and repairs an environment whose first install was interrupted.
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *REQUIREMENTS], check=True)
    subprocess.run([*install, "--no-deps", TSB_AD], check=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([python, __file__, *sys.argv[1:]], env=environment, check=False).returncode


def our_vus_pr(labels: Integers, scores: Floats, maximum_buffer: int) -> float:
    """VUS-PR as the project computes it."""
    function = importlib.import_module("project.scores").vus_pr
    return float(function(labels, scores, maximum_buffer=maximum_buffer))


def their_vus_pr(labels: Integers, scores: Floats, maximum_buffer: int) -> float:
    """VUS-PR as TSB-AD computes it, with the number of thresholds of its leaderboard."""
    function = importlib.import_module("TSB_AD.evaluation.basic_metrics").generate_curve
    return float(function(labels, scores, maximum_buffer, "opt", 250)[-1])


def compare_on_smd() -> int:
    """Print values and times of both on every machine; 0 when ours are the same and fast enough."""
    print(f"{'':<14}{'VUS-PR':>20}{'':>12}{'seconds':>20}")
    print(f"{'machine':<14}{'ours':>10}{'TSB-AD':>10}{'difference':>12}{'ours':>10}{'TSB-AD':>10}{'ratio':>8}")
    timings = []
    for machine, labels, scores in smd_machines():
        timings.append(timed(machine, labels, scores))
        print(timings[-1], flush=True)
    difference = max(timing.difference for timing in timings)
    ratio = float(np.median([timing.ratio for timing in timings]))
    passed = difference <= MAXIMUM_DIFFERENCE and ratio >= MINIMUM_SPEEDUP
    print(f"mean VUS-PR {np.mean([timing.ours for timing in timings]):.3f} over {len(timings)} machines")
    print(f"{'PASS' if passed else 'FAIL'}: median ratio {ratio:.0f} (must reach {MINIMUM_SPEEDUP}), ", end="")
    print(f"largest difference {difference:.1e} (must not pass {MAXIMUM_DIFFERENCE:.0e})")
    return 0 if passed else 1


def timed(machine: str, labels: Integers, scores: Floats) -> Timing:
    """Run both in turns, so that a busy moment of the computer slows both."""
    values: dict[Score, float] = {}
    seconds: dict[Score, list[float]] = {our_vus_pr: [], their_vus_pr: []}
    for function in list(seconds) * ROUNDS:
        start = time.perf_counter()
        values[function] = function(labels, scores, MAXIMUM_BUFFER)
        seconds[function].append(time.perf_counter() - start)
    return Timing(
        machine=machine,
        ours=values[our_vus_pr],
        theirs=values[their_vus_pr],
        our_seconds=float(np.median(seconds[our_vus_pr])),
        their_seconds=float(np.median(seconds[their_vus_pr])),
    )


def smd_machines() -> Iterator[tuple[str, Integers, Floats]]:
    """Name, labels (time,) and scores (time,) of the test half of each machine in the mirror."""
    if "WATTLINE_DATA_MIRROR" not in os.environ:
        sys.exit("benchmarks/vus_pr.py: WATTLINE_DATA_MIRROR is not set; point it to the folder that holds smd/")
    folder = Path(os.environ["WATTLINE_DATA_MIRROR"]) / "smd"
    paths = sorted(folder.glob("test/*.parquet"))
    if not paths:
        sys.exit(f"benchmarks/vus_pr.py: no machine under {folder / 'test'}; expected machine-*.parquet")
    for path in paths:
        labels = values(folder / "test_label" / path.name)[:, 0].astype(np.int64)
        yield path.stem, labels, first_difference_score(values(folder / "train" / path.name), values(path))


def values(path: Path) -> Floats:
    """(time, column) every value of a parquet file."""
    table = parquet.read_table(path)
    return np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float64)


def first_difference_score(train: Floats, test: Floats) -> Floats:
    """(time,) mean over metrics of the absolute step change in train deviations, then a causal mean of 20 steps."""
    deviation = np.diff(train, axis=0).std(axis=0)
    # A metric that never moved in training gets a small deviation, so that its first move shows but stays finite.
    changes = np.abs(np.diff(test, axis=0, prepend=test[:1])) / np.maximum(deviation, 1e-3)
    window = np.ones(20) / 20
    smoothed: Floats = np.convolve(changes.mean(axis=1), window)[: len(test)]
    return smoothed


def write_reference() -> int:
    """Write TSB-AD's value of every constructed case, one case a line."""
    versions = f"{TSB_AD} with numpy {np.__version__} and scikit-learn {importlib.metadata.version('scikit-learn')}"
    lines = [
        json.dumps(asdict(case) | {"vus_pr": their_vus_pr(case.labels(), scores, case.maximum_buffer)})
        for case in constructed_cases()
        for scores in [np.array(case.scores, dtype=np.float64)]
    ]
    cases = ",\n".join(lines)
    REFERENCE.write_text(f'{{"produced_by": {json.dumps(versions)}, "cases": [\n{cases}\n]}}\n', encoding="utf-8")
    print(f"wrote {len(lines)} cases to {REFERENCE.relative_to(ROOT)}")
    return 0


def constructed_cases() -> Iterator[Case]:
    """The edges where implementations of VUS-PR disagree, then random series."""
    random = np.random.default_rng(2022)
    edges: dict[str, tuple[int, list[tuple[int, int]]]] = {
        "anomaly at the start": (300, [(0, 20)]),
        "anomaly at the end": (300, [(285, 300)]),
        "anomaly at both ends": (300, [(0, 10), (290, 300)]),
        "single point": (300, [(150, 151)]),
        "single first point": (120, [(0, 1)]),
        "single last point": (120, [(119, 120)]),
        "buffers overlap": (400, [(100, 110), (130, 150), (155, 156)]),
        "three segments within one buffer": (400, [(200, 201), (203, 204), (206, 207)]),
        "widened segments touch without merging": (400, [(100, 110), (210, 220)]),
        "widened segments merge by one step": (400, [(100, 110), (209, 219)]),
        "every second point": (200, [(start, start + 1) for start in range(0, 200, 2)]),
        "buffer covers the whole series": (60, [(30, 33)]),
        "all but the first point": (80, [(1, 80)]),
        "all but one point": (80, [(0, 40), (41, 80)]),
        "two points": (2, [(0, 1)]),
        "fewer points than thresholds": (249, [(60, 80)]),
        "as many points as thresholds": (250, [(60, 80)]),
        "more points than thresholds": (1000, [(60, 80), (500, 640)]),
    }
    for name, (length, segments) in edges.items():
        yield Case(name, segments, random.permutation(length).tolist(), 100)
        yield Case(f"{name}, ties", segments, random.integers(0, 4, length).tolist(), 100)
    yield Case("constant scores", [(40, 60)], [7] * 300, 100)
    yield Case("scores equal labels", [(2, 5)], [0, 0, 1, 1, 1, 0, 0, 0], 100)
    for buffer in (0, 1, 2, 3, 25):
        yield Case(f"buffer {buffer}", [(20, 30), (33, 34), (90, 120)], random.permutation(150).tolist(), buffer)
    for index in range(12):
        yield random_case(index, random)


def random_case(index: int, random: np.random.Generator) -> Case:
    """A series of up to 500 steps with up to 8 segments, whose scores know something of the labels."""
    length = int(random.integers(30, 500))
    starts = random.integers(0, length - 1, random.integers(1, 9))
    segments = [(int(start), min(int(start + random.integers(1, 30)), length - 1)) for start in starts]
    informed = Case("", segments, [0] * length, 0).labels() * int(random.integers(0, 60))
    return Case(f"random {index}", segments, (random.integers(-50, 50, length) + informed).tolist(), 100)


if __name__ == "__main__":
    sys.exit(main())
