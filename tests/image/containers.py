"""buildah and podman as the tests use them: no daemon, a storage of their own, nothing left behind."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Root without CAP_SYS_RESOURCE cannot raise limits, and there is no systemd to ask for a cgroup.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
PIP = "[global]\nno-index = true\nfind-links = /wheels\n"
HARDENED = (
    "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--memory=512m", "--network=host",
    "--log-driver=k8s-file",
)  # fmt: skip
SECONDS = 300.0


class Containers:
    """Everything below `folder`: images, containers, their logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "containers.conf").write_text(CONFIGURATION)
        (folder / "pip.conf").write_text(PIP)
        self._storage = [f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}"]
        self._environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
        }

    def podman(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run podman."""
        return self._run(["podman", *self._storage, f"--tmpdir={self.folder / 'tmp'}", *arguments], check=check)

    def build(
        self, project: Path, tag: str, *, base: str, wheels: Path, commit: str, model_digest: str, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Build docker/server.Dockerfile of `project`; packages come from `wheels`, so that no network is needed."""
        arguments = {"BASE": base, "COMMIT": commit, "MODEL_DIGEST": model_digest, "VERSION": "1.2.3"}
        arguments |= {"MODEL_NAME": "anomaly", "MODEL_VERSION": "1"}
        return self._run(
            [
                *("buildah", *self._storage, "bud", "--format=docker", "--isolation=chroot", "--network=host"),
                *("--pull-never", f"--volume={wheels}:/wheels:ro", f"--file={project / 'docker/server.Dockerfile'}"),
                *(f"--secret=id=ca_bundle,src={CA_BUNDLE}", f"--secret=id=pip_conf,src={self.folder / 'pip.conf'}"),
                *(f"--build-arg={name}={value}" for name, value in arguments.items()),
                *(f"--tag={tag}", str(project)),
            ],
            check=check,
        )

    def programs(self, folder: Path, *, wheels: Path) -> None:
        """Write podman and buildah into `folder`: they use this storage, and builds need no network."""
        folder.mkdir(parents=True, exist_ok=True)
        variables = " ".join(f"{name}={value}" for name, value in self._environment.items())
        storage = " ".join(self._storage)
        head = f"#!/bin/sh\nexport {variables}\n"
        offline = f"--isolation=chroot --network=host --pull-never --volume={wheels}:/wheels:ro"
        build = f'if [ "$1" = build ]; then shift; exec buildah {storage} build {offline} "$@"; fi\n'
        scripts = {
            "podman": f'{head}exec podman {storage} --tmpdir={self.folder / "tmp"} "$@"\n',
            "buildah": f'{head}{build}exec buildah {storage} "$@"\n',
        }
        for name, text in scripts.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def inspect(self, image: str) -> dict[str, Any]:
        """What the image says of itself."""
        found: dict[str, Any] = json.loads(self.podman("image", "inspect", image).stdout)[0]
        return found

    def layers(self, image: str) -> Path:
        """A folder with every layer of the image, unpacked one by one and in their order."""
        unpacked = self.folder / "layers"
        if not unpacked.exists():
            archive = self.folder / "archive"
            self.podman("save", "--format=docker-dir", f"--output={archive}", image)
            manifest = json.loads((archive / "manifest.json").read_text())
            for place, layer in enumerate(manifest["layers"]):
                (unpacked / str(place)).mkdir(parents=True)
                blob = archive / layer["digest"].removeprefix("sha256:")
                self._run(["tar", "-xf", str(blob), "-C", str(unpacked / str(place))])
        return unpacked

    @contextmanager
    def running(self, image: str, *command: str, options: Sequence[str] = ()) -> Iterator["Container"]:
        """A hardened container of the image, which is removed with its volumes in the end."""
        identity = self.podman("run", "--detach", *HARDENED, *options, image, *command).stdout.strip()
        container = Container(self, identity)
        try:
            yield container
        finally:
            self.podman("rm", "--force", "--time=0", "--volumes", identity)

    def close(self) -> None:
        """Remove all containers and images, and the folder."""
        self.podman("rm", "--all", "--force", "--time=0", "--volumes", check=False)
        self.podman("rmi", "--all", "--force", check=False)
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            place = mount.split()[1]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder)

    def _run(self, command: Sequence[str], *, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done


class Container:
    """One that was started."""

    def __init__(self, containers: Containers, identity: str) -> None:
        self._containers, self.identity = containers, identity

    def exec(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command inside."""
        return self._containers.podman("exec", self.identity, *command, check=False)

    def python(self, code: str) -> "subprocess.CompletedProcess[str]":
        """Run Python inside."""
        return self.exec("python", "-c", code)

    def logs(self) -> str:
        """What it wrote to both of its outputs."""
        done = self._containers.podman("logs", self.identity)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        """Whether it runs, and how it ended."""
        found: dict[str, Any] = json.loads(self._containers.podman("inspect", self.identity).stdout)[0]["State"]
        return found

    def stop(self) -> int:
        """Ask it to end as an orchestrator would. Returns its exit code."""
        self._containers.podman("stop", "--time=40", self.identity)
        return int(self.state()["ExitCode"])

    def address(self) -> str:
        """Where it answers, once it says so."""

        def found() -> str | None:
            said = [line for line in self.logs().splitlines() if "serving at " in line]
            assert said or self.state()["Running"], self.logs()
            return said[0].split("serving at ")[1] if said else None

        return until(found)


def until(what: Callable[[], Any]) -> Any:
    """What `what` returns, once it is true."""
    end = time.monotonic() + SECONDS
    while not (found := what()):
        assert time.monotonic() < end, f"not within {SECONDS:.0f} s"
        time.sleep(0.1)
    return found
