"""How long does a person wait before anything happens?

python benchmarks/start.py [--project FOLDER]     FOLDER: a project whose pipeline is up to date, by default this one
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from clock import Figure, conclude, in_turns, paired_ratio

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

HELP_SECONDS = 0.3
IMPORT_SECONDS = 0.15
UNCHANGED_RATIO = 1.3
ROUNDS = 11
DVC_ROUNDS = 5


def main() -> int:
    """Print every figure beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=ROOT)
    folder = parser.parse_args().project
    return conclude([*starts(), unchanged(folder)])


def starts() -> list[Figure]:
    """Start-up of the command line, and of an import, with the interpreter's own."""
    calls = {
        "wattline --help": command(BIN / "wattline", "--help"),
        "python -c 'import wattline'": command(sys.executable, "-c", "import wattline"),
    }
    seconds = in_turns(calls, rounds=ROUNDS)
    limits = (HELP_SECONDS, IMPORT_SECONDS)
    return [Figure(name, median(seconds[name]), limit, "s") for name, limit in zip(calls, limits, strict=True)]


def unchanged(folder: Path) -> Figure:
    """`dvc repro` with nothing to do, as a multiple of `dvc status`, which also has to look at every file."""
    status = subprocess.run([BIN / "dvc", "status", "--quiet"], cwd=folder, check=False)
    if status.returncode:
        sys.exit(f"benchmarks/start.py: the pipeline in {folder} is not up to date; run `dvc repro` there first")
    calls = {name: command(BIN / "dvc", name, cwd=folder) for name in ("repro", "status")}
    seconds = in_turns(calls, rounds=DVC_ROUNDS)
    print(f"      dvc repro {median(seconds['repro']):.2f} s, dvc status {median(seconds['status']):.2f} s")
    return Figure(
        "dvc repro of nothing / dvc status", paired_ratio(seconds["repro"], seconds["status"]), UNCHANGED_RATIO
    )


def command(*words: str | Path, cwd: Path = ROOT) -> Callable[[], object]:
    """A call that runs a command to its end and drops what it says."""
    return partial(subprocess.run, words, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
