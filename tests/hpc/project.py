"""A small project whose commands run as jobs of a private Slurm, and who submits them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hpc.cluster import SECONDS, Cluster

ROOT = Path(__file__).parents[2]
SUBMIT = """
import sys
from wattline.errors import WattlineError
from wattline.hpc import running
try:
    running.run_command(sys.argv[1], ["bash", "-c", sys.argv[2]], "test", array=sys.argv[3])
except WattlineError as error:
    print(f"wattline: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
"""
RESOURCES = {
    "nodes": 1, "tasks_per_node": 1, "cpus_per_task": 1, "gpus_per_node": 0, "memory_gib": 0.5, "minutes": 10,
    "exclusive": False,
}  # fmt: skip


class Submitter:
    """A process that submits and follows; what it says goes to a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self.process = process
        self.output = output

    @property
    def said(self) -> str:
        return self.output.read_text()

    def says(self, text: str) -> None:
        """Wait until it has said `text`."""
        deadline = time.monotonic() + SECONDS
        while text not in self.said:
            assert time.monotonic() < deadline, f"it never said {text!r}: {self.said}"
            assert self.process.poll() is None or text in self.said, f"it ended without {text!r}: {self.said}"
            time.sleep(0.1)

    def send(self, number: signal.Signals) -> int:
        os.kill(self.process.pid, number)
        return self.ends()

    def ends(self) -> int:
        return self.process.wait(SECONDS)


class Project:
    """A folder with params.yaml and the site `test`, which is a private cluster."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder = folder
        self.cluster = cluster
        self._submitters: list[Submitter] = []

    def write(self, *, hpc: dict[str, Any] | None = None, **profile: Any) -> None:
        """(Over)write params.yaml and the profile."""
        tree = yaml.safe_load((ROOT / "params.yaml").read_text())
        tree["hpc"] |= {
            "poll_seconds": 0.5,
            "patience_seconds": 100.0,
            "notice_seconds": 5,
            "stages": {},
            **(hpc or {}),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "params.yaml").write_text(yaml.safe_dump(tree))
        self.profile(**profile)

    def profile(self, **changes: Any) -> None:
        path = self.folder / "deploy" / "sites" / "test.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(profile(self.folder, self.cluster, **changes)))

    def environment(self) -> dict[str, str]:
        return self.cluster.environment | {
            "PATH": f"{Path(sys.executable).parent}:{self.cluster.environment['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
        }

    def submit(self, name: str, script: str, array: str = "", *, path: str | None = None) -> Submitter:
        """Start a submitter of `script` as the job `name`, or as an array of jobs. path: its PATH"""
        return self.start(sys.executable, "-c", SUBMIT, name, script, array, path=path)

    def wattline(self, *arguments: str) -> Submitter:
        return self.start(sys.executable, "-m", "wattline", *arguments)

    def start(self, *command: str, path: str | None = None) -> Submitter:
        output = self.folder / f"submitter-{len(self._submitters)}.out"
        environment = self.environment() | ({} if path is None else {"PATH": path})
        with output.open("wb") as stream:
            # What starts tests may have it ignore SIGHUP, as nohup does, and that is inherited.
            process = subprocess.Popen(
                ("/usr/bin/env", "--default-signal=HUP", *command), cwd=self.folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
            )  # fmt: skip
        self._submitters.append(Submitter(process, output))
        return self._submitters[-1]

    def record(self, name: str) -> Any:
        return yaml.safe_load((self.folder / "reports" / "jobs" / name / "job.json").read_text())

    def runs(self, name: str) -> int:
        """How often a script with COUNT began."""
        path = self.folder / f"{name}.runs"
        return len(path.read_text()) if path.exists() else 0

    def begins(self, name: str) -> None:
        """Wait until a script with COUNT has begun: not only the job, but what it is there for."""
        deadline = time.monotonic() + SECONDS
        while not self.runs(name):
            assert time.monotonic() < deadline, f"{name} never began"
            time.sleep(0.1)

    def close(self) -> None:
        for submitter in self._submitters:
            if submitter.process.poll() is None:
                submitter.process.kill()
                submitter.process.wait()


def profile(folder: Path, cluster: Cluster, **changes: Any) -> dict[str, Any]:
    """The profile of a private cluster."""
    return {
        "description": "a private Slurm",
        "scheduler": "slurm",
        "stages": ["prepare", "train"],
        "resources": RESOURCES,
        "variables": {"PYTHONPATH": str(ROOT / "src"), "HOME": str(folder)},
        **changes,
    }


def count(name: str) -> str:
    """A line of shell that leaves a mark for every time that a job begins."""
    return f"printf x >> {name}.runs; "


@contextmanager
def written(folder: Path, cluster: Cluster) -> Iterator[Project]:
    """A project for as long as the block lasts."""
    found = Project(folder, cluster)
    found.write()
    yield found
    found.close()
