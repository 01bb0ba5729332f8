"""A real server in a process of its own, on a signed model made in milliseconds."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.builders import COLUMNS, STEPS, write_keys, write_served

ROOT = Path(__file__).resolve().parents[2]
NAMES = [column.name for column in COLUMNS]
ROW = {"power": 1.5, "temperature": 2.5, "load": None}
QUESTION = {"unit": "node-01", "rows": [ROW] * STEPS}
NO_DRAIN = {"drain_seconds": 0.0}


@dataclass
class Running:
    """A server that answers.

    folder: where it runs: params.yaml, champion/, keys/
    """

    process: "subprocess.Popen[str]"
    address: str
    folder: Path

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, output and errors after signal `number`."""
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=240)
        return self.process.returncode, output, errors


def write_params(folder: Path, serving: Mapping[str, Any]) -> None:
    """Write the project's params.yaml with other values in its `serving` section."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    slow_machine = {"deadline_seconds": 120.0}
    merge(tree["serving"], {"port": 0, "model": {"trusted_keys": ["keys/public.pem"]}, "limits": slow_machine})
    merge(tree["serving"], serving)
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))


def merge(target: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change nested values of `target` in place."""
    for name, value in changes.items():
        if isinstance(value, Mapping):
            merge(target[name], value)
        else:
            target[name] = value


def prepare(folder: Path, serving: Mapping[str, Any] = NO_DRAIN, **candidate: Any) -> Path:
    """Lay out a folder to serve from: keys, a signed champion as version 1, params.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    write_served(folder / "champion", write_keys(folder / "keys"), **candidate)
    write_params(folder, serving)
    return folder


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start `wattline serve` in `folder`."""
    command = [sys.executable, "-m", "wattline", "serve", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    """A server in `folder`, killed at the end if it still runs."""
    process = start(folder, *arguments)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving at (http://127\.0\.0\.1:[1-9]\d*)\n", line)
        assert found, line + (process.stderr.read() if process.stderr and not line else "")
        yield Running(process, found.group(1), folder)
    finally:
        process.kill()
        process.communicate()


def client(address: str, **options: Any) -> httpx.Client:
    """A client with room for a slow machine, and without the certificates that it takes a while to load."""
    return httpx.Client(base_url=address, timeout=120, verify=False, **options)
