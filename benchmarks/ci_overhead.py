"""What does a job of the pipeline cost beyond DVC where nothing changed?

python benchmarks/ci_overhead.py

All stages run once, on a small simulated cluster, and what they made is committed. Then every job of the pipeline is
done in fresh clones with nothing but a warm remote: once by `wattline ci repro`, once by `dvc repro` alone, in turns.
"""

import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml
from clock import Figure, conclude, in_turns

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
LIMIT_SECONDS = 20
ROUNDS = 3
JOBS = {
    "data_prep": ["prepare", "profile"],
    "train": ["train"],
    "validate": ["evaluate", "measure", "decide", "card"],
}
IDENTITY = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org"]


def main() -> int:
    """Print seconds of both for every job, and the difference beside its limit."""
    with TemporaryDirectory(prefix="wattline-") as temporary:
        folder = Path(temporary)
        origin, remote = folder / "origin", folder / "remote"
        remote.mkdir()
        prepare(origin, remote)
        figures = [Figure(f"job {job}, beyond dvc", beyond(folder, job), LIMIT_SECONDS, "s") for job in JOBS]
    return conclude(figures)


def prepare(origin: Path, remote: Path) -> None:
    """A clone of what is committed, with a cluster of four nodes, in which everything ran as a job and is committed."""
    git(ROOT, "clone", "--quiet", str(ROOT), str(origin))
    path = origin / "params.yaml"
    params = yaml.safe_load(path.read_text())
    block = params[params["task"]["name"]]
    block["ingest"] = {"source": "simulator", "options": {"simulator": {"nodes": 4, "nodes_per_rack": 2, "days": 2}}}
    block["train"]["model"] = "linear"
    block["measure"] |= {"windows": 100, "repeats": 3}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    begin = time.monotonic()
    run(origin, remote, [sys.executable, "-m", "wattline", "ci", "repro"])
    print(f"all stages ran once, in {time.monotonic() - begin:.0f} s")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message", "what stages made")


def beyond(folder: Path, job: str) -> float:
    """Median over rounds of what a job takes more than DVC alone [s]."""
    targets, numbers = JOBS[job], count()
    commands = {
        "wattline": [sys.executable, "-m", "wattline", "ci", "repro", *targets],
        "dvc": [sys.executable, "-m", "dvc", "repro", "--pull", "--allow-missing", *targets],
    }

    def fresh(name: str) -> Path:
        clone = folder / f"{job}-{name}-{next(numbers)}"
        git(folder, "clone", "--quiet", str(folder / "origin"), str(clone))
        if name == "dvc":
            config = (
                f"[core]\n    remote = warm\n['remote \"warm\"']\n    url = {folder / 'remote'}\n    verify = true\n"
            )
            (clone / ".dvc" / "config.local").write_text(config)
        return clone

    ready = {name: iter([fresh(name) for _ in range(ROUNDS)]) for name in commands}
    calls = {name: lambda name=name: run(next(ready[name]), folder / "remote", commands[name]) for name in commands}
    seconds = in_turns(calls, rounds=ROUNDS)
    wattline, dvc = median(seconds["wattline"]), median(seconds["dvc"])
    print(f"{job:<12}wattline ci repro {wattline:>7.2f} s   dvc repro {dvc:>7.2f} s   (median of {ROUNDS} rounds)")
    return median(one - other for one, other in zip(seconds["wattline"], seconds["dvc"], strict=True))


def run(clone: Path, remote: Path, command: list[str]) -> None:
    """Run a command in a clone, with DVC's site folder of its own; end this program when it fails or runs a stage."""
    own = {"PYTHONPATH": str(clone / "src"), "PATH": f"{BIN}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    own |= {
        "WATTLINE_DVC_REMOTE": str(remote),
        "DVC_SITE_CACHE_DIR": f"{clone}.site",
        "WATTLINE_STATE": f"{clone}.state",
    }
    done = subprocess.run(command, cwd=clone, env=os.environ | own, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"benchmarks/ci_overhead.py: {' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    if clone.name != "origin" and "Running stage" in done.stdout:
        sys.exit(f"benchmarks/ci_overhead.py: a stage ran although nothing had changed:\n{done.stdout[-2000:]}")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True)


if __name__ == "__main__":
    sys.exit(main())
