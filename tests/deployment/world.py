"""A project with versions, images of them, and a host whose containers are processes of the real server."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from builders import write_candidate, write_reports

from wattline import files, params
from wattline.deployment.reference import Reference, Repository
from wattline.deployment.state import Place, State
from wattline.deployment.target import environment_of
from wattline.params import Params
from wattline.records import Champion
from wattline.registry import fetching, lookup, model, registration
from wattline.registry.model import CHAMPION
from wattline.serving.access import keys

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(__file__).with_name("stub.py")
COMMIT = "c" * 40
PRODUCTION = "wattline-production"
SMALL = {
    "requests": 40,
    "repeats": 2,
    "connections": 2,
    "paced_requests": 100,
    "rate_per_second": 200.0,
    "idle_seconds": 0.1,
}


class World:
    """What a test does with it."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder, self.project, self.stub = folder, project, folder / "stub"
        self.repository = Repository("127.0.0.1:9", "wattline/server")
        self.images: dict[str, Any] = {}

    def build(self) -> str:
        """Write the stub, the server's settings and params.yaml of the project; an API key of the servers."""
        for name in ("bin", "stub/server", "stub/containers", "keys"):
            (self.folder / name).mkdir(parents=True)
        program = self.folder / "bin" / "podman"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {STUB} "$@"\n')
        program.chmod(0o755)
        key, entry = keys.new_key("smoke", ["predict", "audit"])
        keys.add_key(self.folder / "keys" / "wattline_api_keys", entry)
        self._write_params()
        self._remember()
        return key

    def _write_params(self) -> None:
        tree = yaml.safe_load((ROOT / "params.yaml").read_text())
        secrets = str(self.folder / "keys" / "wattline_api_keys")
        for name in ("staging", "production"):
            tree["deployment"][name] |= {"port": free_port(), "state": str(self.folder / name), "keys_file": secrets}
        tree["deployment"] |= {"ready_seconds": 120.0, "load": {**SMALL, "timeout_seconds": 60.0}}
        tree["deployment"]["limits"] = {
            "p99_ms": 1e6,
            "maximum_error_rate": 0.0,
            "throughput_per_second": 0.01,
            "budget_joules": 1e6,
            "evidence": "estimated",
        }
        tree["registry"] |= {"lock_seconds": 2.0, "wait_seconds": 30.0}
        tree["node_anomaly"]["energy"]["meter"] = "estimate"
        Path("params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
        tree["serving"]["auth"] |= {"mode": "keys", "keys_file": secrets}
        tree["serving"]["model"]["trusted_keys"] = [str(self.project / ".wattline/keys/public.pem")]
        tree["serving"]["drain_seconds"] = 0.0
        (self.stub / "server" / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
        commit("params.yaml")

    def version(self, weights: bytes) -> str:
        """Register another candidate, compared with today's champion."""
        shutil.rmtree(files.CANDIDATE, ignore_errors=True)
        written = write_candidate(files.CANDIDATE, weights=weights, golden=True)
        write_reports(files.REPORTS, written, champion=self.champion())
        with model.of_project(self.loaded) as opened:
            return registration.register(opened)

    def image(self, version: str, *, wrong: str = "", **labels: str) -> Reference:
        """An image of a version on this host. wrong: where it cannot start: "everywhere", "in place" or nowhere"""
        folder = self.folder / "fetched" / version
        found = fetching.fetch_version(version, folder, loaded=self.loaded)
        said = self.labels(found) | labels
        digest = "sha256:" + f"{len(self.images) + 1:064x}"
        return self.know(Reference(self.repository, digest), folder, said, wrong=wrong)

    def labels(self, found: Champion) -> dict[str, str]:
        """Those of a true image."""
        prefix = "io.wattline.model"
        said = {"digest": found.digest, "name": found.name, "version": found.version}
        return {f"{prefix}.{name}": str(value) for name, value in said.items()} | {
            "org.opencontainers.image.revision": COMMIT
        }

    def know(self, reference: Reference, folder: Path, labels: dict[str, str], *, wrong: str = "") -> Reference:
        """Let the host have an image."""
        self.images[str(reference)] = {"folder": str(folder), "labels": labels, "wrong": wrong}
        self._remember()
        return reference

    def mend(self, reference: Reference) -> None:
        """Let an image start everywhere."""
        self.images[str(reference)]["wrong"] = ""
        self._remember()

    def _remember(self) -> None:
        (self.stub / "images.json").write_text(json.dumps(self.images))

    @property
    def loaded(self) -> Params:
        return params.load()

    def champion(self) -> Champion:
        """The champion as candidates are compared with it."""
        with model.of_project(self.loaded) as opened:
            entry = opened.champion()
        return Champion() if entry is None else Champion(version=entry.version, digest=entry.digest, name=entry.model)

    def alias(self) -> str | None:
        """The version that the alias points to."""
        with model.of_project(self.loaded) as opened:
            found = lookup.by_alias(opened.client, opened.name, CHAMPION)
        return None if found is None else str(found.version)

    def state(self, name: str = "production") -> State:
        """What is known of an environment."""
        return Place(environment_of(self.loaded, name)).read()

    def containers(self) -> dict[str, str]:
        """Name -> image of those that are there."""
        found = (self.stub / "containers").glob("*/container.json")
        return {path.parent.name: json.loads(path.read_text())["image"] for path in found}

    def calls(self) -> list[str]:
        """Verbs that the engine was asked for since the last time."""
        path = self.stub / "calls"
        said = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.split()[0] for line in said]

    def kill_at(self, when: str) -> None:
        """Have the next caller killed: "before|after VERB NAME"."""
        (self.stub / "kill").write_text(when)

    def end(self) -> None:
        """End every server."""
        for name in self.containers():
            subprocess.run([self.folder / "bin" / "podman", "rm", "--force", "--volumes", name], check=True)


def wattline(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a job does."""
    command = [sys.executable, "-m", "wattline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def commit(*names: str) -> None:
    """Commit files of the project in the current folder."""
    author = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["add", *names], [*author, "commit", "-q", "-m", "a change"]):
        subprocess.run(["git", *arguments], check=True)


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
