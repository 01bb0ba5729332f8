"""A private Slurm as tests use it: submit, wait, look."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from debian import give_up

SCRIPT = Path(__file__).with_name("cluster.sh")
TERMINAL = (
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "DEADLINE", "BOOT_FAIL",
)  # fmt: skip
SECONDS = 120.0


class Cluster:
    """Slurm in `folder`.

    environment: of every command, and of the script; its knobs are described in cluster.sh
    """

    def __init__(self, folder: Path, knobs: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM")},
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "SLURM_CONF": str(folder / "etc" / "slurm.conf"),
            **knobs,
        }

    def script(self, command: str, *arguments: str) -> None:
        """Run cluster.sh. What it prints goes to a file: its daemons would keep a pipe open."""
        with (self.folder / "script.out").open("a") as output:
            subprocess.run(
                [SCRIPT, command, self.folder, *arguments],
                env=self.environment, check=True, timeout=SECONDS,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def run(self, *command: str, check: bool = True) -> str:
        """What one of Slurm's programs prints."""
        done = subprocess.run(
            command, env=self.environment, text=True, capture_output=True, check=False, timeout=SECONDS
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def submit(self, *options: str, script: str) -> str:
        """Number of a job that runs `script` in a shell."""
        output = self.folder / "job-%j.out"
        command = ("sbatch", "--parsable", f"--output={output}", "--open-mode=append", *options, "--wrap", script)
        return self.run(*command).strip()

    def details(self, job: str) -> dict[str, str]:
        text = self.run("scontrol", "show", "job", "--oneliner", job).splitlines()[0]
        return dict(re.findall(r"(\S+?)=(\S*)", text))

    def wait(self, job: str, *states: str) -> dict[str, str]:
        """Details of a job once it is in one of these states, or else at its end.

        Not `sbatch --wait`, which looks after 2, 10, 42 s. Not its exit code, which is 0:0 for a cancelled job.
        """
        wanted = states or TERMINAL
        deadline = time.monotonic() + SECONDS
        while (details := self.details(job))["JobState"] not in wanted:
            assert time.monotonic() < deadline, f"job {job} is {details['JobState']}; see {self.folder}/log"
            assert not states or details["JobState"] not in TERMINAL, f"job {job} is {details['JobState']} already"
            time.sleep(0.1)
        return details

    def output(self, job: str) -> str:
        return (self.folder / f"job-{job}.out").read_text()

    def energy_node(self, node: str, watts: float) -> None:
        """Give a node a counter of so many watts, and wait until Slurm uses it again."""
        self.script("energy-node", node, f"{watts:g}")
        deadline = time.monotonic() + SECONDS
        while f"{node} idle" not in self.run("sinfo", "-h", "-N", "-o", "%N %T"):
            assert time.monotonic() < deadline, f"node {node} did not come back; see {self.folder}/log"
            time.sleep(0.1)

    def set_watts(self, node: str, watts: float) -> None:
        path = self.folder / f"counter-{node}" / "watts"
        path.with_name("next").write_text(f"{watts:g}")
        path.with_name("next").replace(path)

    def processes(self) -> list[str]:
        """Command lines of what still runs for this cluster; zombies have none."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (process / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if line and (str(self.folder) in line or f"SLURM_CONF={self.folder}/" in environment):
                found.append(line)
        return found


@contextmanager
def cluster(folder: Path, *, nodes: int = 2, **knobs: str) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts; two to five seconds to come up. Everything is stopped afterwards."""
    found = Cluster(folder, knobs)
    try:
        found.script("start", str(nodes))
        yield found
    finally:
        found.script("stop")


def can_mount() -> bool:
    """Whether a mount namespace can be had, which energy_node.sh needs."""
    arguments = ["--mount"] if os.getuid() == 0 else ["--user", "--map-current-user", "--keep-caps", "--mount"]
    return subprocess.run(["unshare", *arguments, "true"], check=False, capture_output=True).returncode == 0


def require_mounts() -> None:
    if not can_mount():
        give_up("an energy counter for slurmd needs a mount namespace: root, or user namespaces")
