"""podman or docker on this host: the few commands that a deployment needs, each bounded in time."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from wattline.deployment.failure import DeploymentError
from wattline.deployment.reference import Reference
from wattline.errors import InputError
from wattline.settings import inherited

SECONDS = 120.0
"""For any command but those that move an image."""
PULL_SECONDS = 1800.0
SHOWN_CHARACTERS = 400
FINGERPRINT = "io.wattline.deployment"
"""Label of a container: digest of all that it was started with."""


@dataclass(frozen=True)
class Container:
    """One that is there.

    process: its first process, seen from this host; 0 where it does not run
    fingerprint: of what it was started with
    """

    runs: bool
    process: int
    fingerprint: str


class Engine:
    """The program `name`. Every call raises DeploymentError saying what the program said.

    environment: variables that it finds its credentials by
    """

    def __init__(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        found = shutil.which(name)
        if found is None:
            raise InputError(f"deployment.engine is {name}, which this host does not have; install it, or set another")
        self.name, self._program = name, found
        self._environment = inherited(environment or {})

    def pull(self, image: Reference) -> None:
        """Fetch the image, unless it is here: a digest never names another one."""
        if self._try("image", "inspect", "--format", "{{.Id}}", str(image)).returncode == 0:
            return
        plain = ("--tls-verify=false",) if self.name == "podman" and image.repository.is_loopback else ()
        self._do("pull", "--quiet", *plain, str(image), seconds=PULL_SECONDS)

    def labels(self, image: Reference) -> dict[str, str]:
        """What the image says of itself."""
        config = self._json("image", "inspect", str(image))[0].get("Config") or {}
        return {str(name): str(value) for name, value in (config.get("Labels") or {}).items()}

    @contextmanager
    def unpacked(self, image: Reference, source: str, *, name: str, target: Path) -> Iterator[Path]:
        """A folder of the image, copied to `target` without running anything of it.

        name: of the container that is made for that, and removed
        """
        self.remove(name)
        try:
            self._do("create", "--name", name, str(image))
            self._do("cp", f"{name}:{source}", str(target))
        finally:
            self.remove(name)
        yield target

    def container(self, name: str) -> Container | None:
        """The container of this name; None where there is none."""
        identity = self._do("ps", "--all", "--no-trunc", "--filter", f"name=^{name}$", "--format", "{{.ID}}").strip()
        if not identity:
            return None
        found = self._json("container", "inspect", identity.splitlines()[0])[0]
        labels = (found.get("Config") or {}).get("Labels") or {}
        runs = bool(found["State"]["Running"])
        return Container(runs, int(found["State"]["Pid"]) if runs else 0, str(labels.get(FINGERPRINT, "")))

    def run(self, arguments: Sequence[str]) -> None:
        """Start a container in the background."""
        self._do("run", "--detach", *arguments, seconds=PULL_SECONDS)

    def stop(self, name: str, *, seconds: int) -> None:
        """Let a container end as it should, within `seconds`; then it is killed. One that is not there has ended."""
        if self.container(name) is not None:
            self._do("stop", "--time", str(seconds), name, seconds=seconds + SECONDS)

    def remove(self, name: str) -> None:
        """Remove a container, and volumes that only it had. One that is not there is removed."""
        if self.container(name) is not None:
            self._do("rm", "--force", "--volumes", name)

    def last_words(self, name: str) -> str:
        """The last lines that a container wrote, for a message."""
        done = self._try("logs", "--tail", "5", name)
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        return " | ".join(said[-2:])[-SHOWN_CHARACTERS:] or "nothing"

    def _json(self, *arguments: str) -> Any:
        return orjson.loads(self._do(*arguments))

    def _do(self, *arguments: str, seconds: float = SECONDS) -> str:
        done = self._try(*arguments, seconds=seconds)
        if done.returncode != 0:
            said = " ".join(done.stderr.split())[-SHOWN_CHARACTERS:]
            raise DeploymentError(f"{self.name} {arguments[0]} failed with exit code {done.returncode}: {said}")
        return done.stdout

    def _try(self, *arguments: str, seconds: float = SECONDS) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                [self._program, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=seconds,
                env=self._environment,
            )
        except subprocess.TimeoutExpired:
            raise DeploymentError(
                f"{self.name} {arguments[0]} did not end within {seconds:g} s; look at the host"
            ) from None
