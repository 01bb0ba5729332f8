"""What does the whole pipeline take in a fresh clone?

python benchmarks/pipeline.py                  `dvc repro` on the simulator, and on SMD if WATTLINE_DATA_MIRROR is set
python benchmarks/pipeline.py --source smd     on that one only
python benchmarks/pipeline.py --keep FOLDER    and leave the last clone there

What is committed runs, with the environment that runs this script. Memory is that of all processes together.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from clock import Figure, conclude

from wattline.demonstration import choose_source

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
SECONDS = {"simulator": 90, "smd": 15 * 60}
GIBIBYTES = {"simulator": 3, "smd": 3}
SAMPLE_SECONDS = 0.1
MARK = "Running stage '"


@dataclass
class Observed:
    """What a run took: stage -> when it began [s since the start], and stage -> peak resident memory [GiB]."""

    began: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def spans(self) -> dict[str, float]:
        """Stage -> seconds until the next one began."""
        ends = [*list(self.began.values())[1:], self.seconds]
        return {stage: end - begin for (stage, begin), end in zip(self.began.items(), ends, strict=True)}


def main() -> int:
    """Print seconds and memory of every stage, and the totals beside their limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--source", choices=sorted(SECONDS))
    arguments = parser.parse_args()
    mirrored = ["smd"] if "WATTLINE_DATA_MIRROR" in os.environ else []
    sources = [arguments.source] if arguments.source else ["simulator", *mirrored]
    figures = []
    for source in sources:
        with TemporaryDirectory(prefix="wattline-") as temporary:
            clone = Path(temporary) / "clone"
            observed = reproduce(clone, source)
            if arguments.keep:
                shutil.copytree(clone, arguments.keep, symlinks=True, dirs_exist_ok=True)
        figures += [
            Figure(f"dvc repro, {source}", observed.seconds, SECONDS[source], "s"),
            Figure(f"peak memory, {source}", max(observed.peak.values()), GIBIBYTES[source], "GiB"),
        ]
        table(source, observed)
    return conclude(figures)


def reproduce(clone: Path, source: str) -> Observed:
    """Clone what is committed and run every stage of it, watching."""
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    choose_source(source, path=clone / "params.yaml")
    # The environment's own wattline is that of ROOT.
    environment = os.environ | {"PYTHONPATH": str(clone / "src"), "PATH": f"{BIN}:{os.environ['PATH']}"}
    environment |= {"PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", "WATTLINE_STATE": str(clone / ".wattline")}
    observed, begin = Observed(), time.monotonic()
    process = subprocess.Popen(
        [BIN / "dvc", "repro", "--force"],
        cwd=clone, env=environment, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watcher = threading.Thread(target=watch, args=(process.pid, observed), daemon=True)
    watcher.start()
    lines = []
    try:
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith(MARK):
                observed.began[line.removeprefix(MARK).split("'")[0]] = time.monotonic() - begin
        code = process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    watcher.join()
    observed.seconds = time.monotonic() - begin
    if code:
        sys.exit(f"benchmarks/pipeline.py: dvc repro on {source} ended with exit code {code}:\n{''.join(lines[-20:])}")
    return observed


def watch(pid: int, observed: Observed) -> None:
    """Sample the resident memory of a process and all below it, until it ends."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            used = 0.0
            for one in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    used += one.memory_info().rss / 2**30
            stage = next(reversed(observed.began), "dvc")
            observed.peak[stage] = max(used, observed.peak.get(stage, 0.0))
            time.sleep(SAMPLE_SECONDS)


def table(source: str, observed: Observed) -> None:
    """Print one line for each stage."""
    print(f"{source:<12}{'seconds':>9}{'peak GiB':>10}")
    for stage, seconds in observed.spans().items():
        print(f"  {stage:<10}{seconds:>9.1f}{observed.peak.get(stage, float('nan')):>10.2f}")


if __name__ == "__main__":
    sys.exit(main())
