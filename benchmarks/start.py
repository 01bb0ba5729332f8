"""How long does a person wait before anything happens?

python benchmarks/start.py [--project FOLDER]     FOLDER: a project whose pipeline is up to date, by default this one
"""

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from clock import Figure, conclude, in_turns, paired_ratio

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

HELP_SECONDS = 0.3
IMPORT_SECONDS = 0.15
UNCHANGED_RATIO = 1.3
ROUNDS = 11

Command = Callable[..., Callable[[], object]]


def main() -> int:
    """Print every figure beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=ROOT)
    folder = parser.parse_args().project
    with TemporaryDirectory(prefix="wattline-") as bytecode:
        # Compiled once, as after an installation, even where this environment keeps no bytecode.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = partial(call, environment=environment | {"PYTHONPYCACHEPREFIX": bytecode})
        return conclude([*starts(command), unchanged(command, folder)])


def starts(command: Command) -> list[Figure]:
    """Start-up of the command line, and of an import, the interpreter's own included."""
    calls = {
        "wattline --help": command(BIN / "wattline", "--help"),
        "python -c 'import wattline'": command(sys.executable, "-c", "import wattline"),
    }
    in_turns(calls, rounds=1)
    seconds = in_turns(calls, rounds=ROUNDS)
    limits = (HELP_SECONDS, IMPORT_SECONDS)
    return [Figure(name, median(seconds[name]), limit, "s") for name, limit in zip(calls, limits, strict=True)]


def unchanged(command: Command, folder: Path) -> Figure:
    """CPU time of `dvc repro` with nothing to do, over that of `dvc status`, which also has to look at every file."""
    if subprocess.run([BIN / "dvc", "status", "--quiet"], cwd=folder, check=False).returncode:
        sys.exit(f"benchmarks/start.py: the pipeline in {folder} is not up to date; run `dvc repro` there first")
    calls = {name: command(BIN / "dvc", name, folder=folder) for name in ("repro", "status")}
    in_turns(calls, rounds=1)
    seconds = in_turns(calls, rounds=ROUNDS, clock=cpu_seconds_of_children)
    print(f"      dvc repro {median(seconds['repro']):.2f} s, dvc status {median(seconds['status']):.2f} s of CPU time")
    ratio = paired_ratio(seconds["repro"], seconds["status"])
    return Figure("dvc repro of nothing / dvc status", ratio, UNCHANGED_RATIO)


def call(*words: str | Path, environment: Mapping[str, str], folder: Path = ROOT) -> Callable[[], object]:
    """A function that runs a command to its end and drops what it says."""
    quiet = subprocess.DEVNULL
    return partial(subprocess.run, words, cwd=folder, env=environment, check=True, stdout=quiet, stderr=quiet)


def cpu_seconds_of_children() -> float:
    """User and system time of all processes that this one started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
