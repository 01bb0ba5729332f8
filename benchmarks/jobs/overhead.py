"""A stage by `wattline run` on a private Slurm, in turns with a bare `srun` of the same command.

The account has no files of its own that a login shell reads: what those take is the site's.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml
from clock import Figure

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "tests" / "hpc" / "cluster.sh"
WATTLINE = Path(sys.executable).with_name("wattline")
ROUNDS = 7
LIMIT_SECONDS = 1.0
STAGE = "ingest"
SITE = "private"


def figures() -> Iterator[Figure]:
    """Print both, and give the difference without the time in the queue."""
    if shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        sys.exit("benchmarks/hpc.py: there is no slurmctld here; install the packages slurmctld, slurmd and munge")
    with TemporaryDirectory(prefix="wattline-") as folder, cluster(Path(folder) / "slurm") as environment:
        found = Project(Path(folder) / "project", Path(folder) / "slurm", environment)
        found.both()  # compiles, and fills caches of the file system
        rows = [found.both() for _ in range(ROUNDS)]
        srun, ours, queue = (median(column) for column in zip(*rows, strict=True))
        print(f"      a stage by srun {srun:.2f} s, by wattline run {ours:.2f} s, of it {queue:.2f} s in the queue")
        quickest = min(ours - queue for _, ours, queue in rows) - min(srun for srun, *_ in rows)
        print(f"      the quickest of each differ by {quickest:.2f} s; load of this machine {os.getloadavg()[0]:.1f}")
        yield Figure(
            "wattline run over srun, without the queue",
            median(ours - queue - srun for srun, ours, queue in rows),
            LIMIT_SECONDS,
            "s",
        )


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of programs that use a private Slurm of one node."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "WATTLINE"))}
    environment = {
        **known,
        "PATH": f"{WATTLINE.parent}:{os.environ['PATH']}:/usr/sbin",
        "SLURM_CONF": str(folder / "etc" / "slurm.conf"),
        "HOME": str(folder / "home"),
        # Compiled once, as after an installation, even where this environment keeps no bytecode.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }

    def script(*words: str) -> None:
        quiet = subprocess.DEVNULL
        subprocess.run([CLUSTER, words[0], folder, *words[1:]], env=environment, check=True, stdin=quiet, stdout=quiet)

    try:
        script("start", "1")
        yield environment
    finally:
        script("stop")


class Project:
    """A folder with the pipeline's files and a site that is the private Slurm."""

    def __init__(self, folder: Path, slurm: Path, environment: dict[str, str]) -> None:
        self.folder, self.slurm, self.environment = folder, slurm, environment
        (folder / "deploy" / "sites").mkdir(parents=True)
        for name in ("dvc.yaml", "params.yaml"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("src", "data/external", "data/snapshots"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(ROOT / name)
        knobs = yaml.safe_load((folder / "params.yaml").read_text())
        knobs["node_anomaly"]["ingest"]["options"]["simulator"] |= {"nodes": 3, "days": 1}
        (folder / "params.yaml").write_text(yaml.safe_dump(knobs))
        profile = {
            "description": "a private Slurm",
            "scheduler": "slurm",
            "stages": [STAGE],
            "resources": {"memory_gib": 1.0, "minutes": 10, "cpus_per_task": 1},
            "variables": {"PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": environment["PYTHONPYCACHEPREFIX"]},
        }
        (folder / "deploy" / "sites" / f"{SITE}.yaml").write_text(yaml.safe_dump(profile))

    def both(self) -> tuple[float, float, float]:
        """Seconds of srun, of `wattline run`, and of its job in the queue."""
        return self.by_srun(), self.by_wattline(), self.queue_seconds()

    def by_srun(self) -> float:
        return self._seconds("srun", "--quiet", "--mem=1024M", WATTLINE, "run", STAGE, "--site", "local")

    def by_wattline(self) -> float:
        return self._seconds(WATTLINE, "run", STAGE, "--site", SITE)

    def queue_seconds(self) -> float:
        """Of the last job, by the controller's log: what Slurm tells of a job is in whole seconds."""
        log = (self.slurm / "log" / "slurmctld.log").read_text()
        asked = re.findall(r"\[(\S+)\] _slurm_rpc_submit_batch_job: JobId=(\d+)", log)
        when, job = asked[-1]
        given = re.findall(rf"\[(\S+)\] sched.*(?:Allocate|Started) JobId={job}\b", log)
        return (datetime.fromisoformat(given[-1]) - datetime.fromisoformat(when)).total_seconds()

    def _seconds(self, *command: str | Path) -> float:
        begin = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - begin
        if done.returncode:
            sys.exit(f"benchmarks/hpc.py: {command[0]} failed: {done.stdout}{done.stderr}")
        return seconds
