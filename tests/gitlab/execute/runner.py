"""Runs a pipeline in a clone of its own, as far as that goes without a GitLab, and says how each of its jobs went."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from backends.processes import end, guarded

from gitlab.execute import log
from gitlab.execute.events import Event
from gitlab.execute.log import Job

EXPANDED = ".expanded-gitlab-ci.yml"
OPTIONS = ("--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source", "--no-color")
READ_ALREADY = "--no-json-schema-validation"
REMOVED = ("image", "services")
"""With an image, jobs believe to be in /builds and lose cache and artifacts; services crash the program."""
SECONDS = 1200.0
"""More than any pipeline of the tests takes on a machine that others keep busy."""
SECONDS_TO_READ = 240.0
"""For what runs no job: the program reads, expands and lists in two seconds."""


@dataclass(frozen=True)
class Result:
    """How a pipeline went.

    problems: why it is red; empty for one that is green
    text: the whole log
    """

    jobs: Mapping[str, Job]
    problems: Sequence[str]
    text: str

    @property
    def green(self) -> bool:
        return not self.problems

    def report(self) -> str:
        """What somebody who has to repair it wants to see: the reasons, and the ends of the jobs that failed."""
        failed = [job.tail for job in self.jobs.values() if job.state in {"failed", "unfinished"}]
        listed = [f"{job.state:10} {job.seconds:7.1f} s  {key}" for key, job in self.jobs.items()]
        return "\n".join([*self.problems, *listed, *(failed or self.text.splitlines()[-log.TAIL :])])


class Pipeline:
    """One pipeline of a clone: run it, and press its manual jobs afterwards."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        event: Event,
        settings: Mapping[str, str],
        environment: Mapping[str, str],
        concurrency: int = 2,
        left_out: Collection[str] = (),
    ) -> None:
        """Take a clone with a checked-out commit in it.

        left_out: jobs that are not run, to save time
        settings: the project's CI variables, which win over those of the configuration
        environment: what a runner gives its jobs: programs, places
        """
        self.folder, self._event = folder, event
        self._command, self._concurrency = command, concurrency
        self._place = folder.with_name(f"{folder.name}.runner")
        self._place.mkdir()
        self._environment = {
            # A variable that begins with GCL would be an option of the program.
            **{name: value for name, value in environment.items() if not name.startswith("GCL")},
            # Where it puts variables of type file, and leaves them.
            "TMPDIR": str(self._place),
        }
        self._variables = {**settings, **event.predefined}
        self._write_variables()
        self._triggers = self._expand(left_out)

    def listed(self) -> list[dict[str, Any]]:
        """Every job of the configuration and when this event starts it."""
        found: list[dict[str, Any]] = json.loads(self._read("--file", EXPANDED, "--list-json", READ_ALREADY))
        return found

    def run(self, *, by_hand: Sequence[str] = (), seconds: float = SECONDS) -> Result:
        """Run what the event starts, and what somebody starts by hand as soon as it can be."""
        wanted = log.expected(self.listed(), by_hand=by_hand)
        manual = [word for name in by_hand for word in ("--manual", name)]
        return self._run(manual, wanted=wanted, seconds=seconds)

    def press(self, job: str, *, seconds: float = SECONDS) -> Result:
        """Start one job, with the artifacts that those before it have left."""
        return self._run([job], wanted=[job], seconds=seconds)

    def close(self) -> None:
        """Remove the clone, and what the jobs left in their copies of it."""
        shutil.rmtree(self.folder)
        shutil.rmtree(self._place)

    def _run(self, arguments: Sequence[str], *, wanted: Sequence[str], seconds: float) -> Result:
        path = self._place / f"{time.monotonic_ns()}.log"
        options = [*OPTIONS, f"--concurrency={self._concurrency}", "--file", EXPANDED, READ_ALREADY, *arguments]
        with path.open("wb") as stream:
            code = self._bounded(options, seconds=seconds, stdout=stream, stderr=subprocess.STDOUT)
        text = path.read_text(encoding="utf-8", errors="replace")
        triggers = [name for name in self._triggers if name in wanted]
        return Result(log.jobs(text), log.problems(text, code=code, triggers=triggers, expected=wanted), text)

    def _bounded(self, options: Sequence[str], *, seconds: float, **streams: Any) -> int | None:
        """Exit code; None when the time was over and the process group was killed, which ignores anything kinder."""
        process = subprocess.Popen(
            self._arguments(options), cwd=self.folder, env=self._environment, start_new_session=True, **streams
        )
        with guarded(process):
            try:
                return process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                return None
            finally:
                end(process, signal.SIGKILL)

    def _read(self, *options: str) -> str:
        """What the program prints about the pipeline. Fails with its words when it cannot read it."""
        path = self._place / "read"
        errors = self._place / "errors"
        with path.open("wb") as out, errors.open("wb") as err:
            code = self._bounded(options, seconds=SECONDS_TO_READ, stdout=out, stderr=err)
        assert code == 0, f"{options}: {errors.read_text()[-2000:]}{path.read_text()[-2000:]}"
        return path.read_text(encoding="utf-8")

    def _arguments(self, options: Sequence[str]) -> list[str]:
        # CLI variables do not reach child pipelines: right for this one, which GitLab sets anew there.
        unset = [] if self._variables["CI_COMMIT_BRANCH"] else ["--unset-variable", "CI_COMMIT_BRANCH"]
        source = ["--variable", f"CI_PIPELINE_SOURCE={self._event.source}"]
        ignored = ",".join(("CI_PIPELINE_SOURCE", *self._variables))
        shared = ["--home", str(self._place), "--ignore-predefined-vars", ignored]
        return [*self._command, *options, *source, *unset, *shared]

    def _write_variables(self) -> None:
        """Leave the variables in a file, where they are in no argument, and where child pipelines find them too."""
        path = self._place / ".gitlab-ci-local" / "variables.yml"
        path.parent.mkdir()
        values = {name: {"type": "variable", "values": {"*": value}} for name, value in self._variables.items()}
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({"global": values}), encoding="utf-8")

    def _expand(self, left_out: Collection[str]) -> list[str]:
        """Write the pipeline as it is after includes, without what the program cannot run; names of its triggers."""
        tree = yaml.safe_load(self._read("--preview"))
        tree = {name: job for name, job in tree.items() if name not in left_out}
        for job in tree.values():
            if isinstance(job, dict):
                for key in REMOVED:
                    job.pop(key, None)
                # The program copies the sources anew before an after_script, over all that the script has made.
                if "after_script" in job:
                    job["script"] = [*job["script"], *job.pop("after_script")]
        (self.folder / EXPANDED).write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
        return [name for name, job in tree.items() if isinstance(job, dict) and "trigger" in job]


def environment(node: Path, *, more: Mapping[str, str]) -> dict[str, str]:
    """What jobs inherit from a runner: of this process's own environment only what a machine has in any case."""
    kept = (
        "HOME",
        "LANG",
        "PIP_CONFIG_FILE",
        "PIP_FIND_LINKS",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
    )
    known = {name: os.environ[name] for name in kept if name in os.environ}
    return {**known, "PATH": os.pathsep.join([str(node.parent), os.environ["PATH"]]), **more}
