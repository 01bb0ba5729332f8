"""A real MQTT broker, mosquitto, that can go away and come back on its port."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from backends.processes import Server, free_port, serving
from debian import install


class Broker:
    """folder: for its configuration and log; lines: of its configuration, besides the port and who may come in"""

    def __init__(self, program: Path, libraries: Path, folder: Path, *lines: str) -> None:
        self._program = program
        self._libraries = libraries
        self._folder = folder
        self.port = free_port()
        access = () if any(line.startswith("allow_anonymous") for line in lines) else ("allow_anonymous true",)
        text = (f"listener {self.port} 127.0.0.1", "user root", "persistence false", *access, *lines, "")
        (folder / "mosquitto.conf").write_text("\n".join(text))

    @property
    def address(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def running(self) -> AbstractContextManager[Server]:
        return serving(
            [self._program, "-c", self._folder / "mosquitto.conf"],
            answers=self._listens,
            log=self._folder / "log",
            environment={"LD_LIBRARY_PATH": str(self._libraries)},
        )

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True


class Mosquitto:
    """Makes brokers. root: of the unpacked packages, or of the system"""

    def __init__(self, cache: Path) -> None:
        self.root = Path("/")
        if not (self.root / "usr/sbin/mosquitto").exists():
            self.root = cache / "tools"
        if not (self.root / "usr/sbin/mosquitto").exists():
            install(cache, "mqtt")
        self._libraries = self.root / "usr/lib" / f"{os.uname().machine}-linux-gnu"

    def broker(self, folder: Path, *lines: str) -> Broker:
        folder.mkdir(exist_ok=True)
        return Broker(self.root / "usr/sbin/mosquitto", self._libraries, folder, *lines)

    def password_file(self, path: Path, user: str, password: str) -> Path:
        path.touch(mode=0o600)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self._libraries)}
        program = self.root / "usr/bin/mosquitto_passwd"
        subprocess.run([program, "-b", path, user, password], check=True, env=environment, capture_output=True)
        return path


@contextmanager
def paused(server: Server) -> Iterator[None]:
    """A broker that is there and does not answer, until the end or until it is killed."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGCONT)
