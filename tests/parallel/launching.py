"""Start the processes of one training on loopback, as srun does, and wait for all of them."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

LEARNING = Path(__file__).with_name("learning.py")
SECONDS = 300.0


@dataclass(frozen=True)
class Ended:
    """How one process ended: what it printed, and with which code."""

    output: str
    code: int


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def launch(
    folder: Path, count: int, *, ranks: list[int] | None = None, port: int | None = None, **variables: str
) -> list[Ended]:
    """How each of `count` processes ended. Whoever still runs when the block ends is killed.

    ranks: those that are really started
    """
    told = {
        **os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port or free_port()),
        **variables,
    }  # fmt: skip
    with ExitStack() as stack:
        begun = []
        for rank in range(count) if ranks is None else ranks:
            process = subprocess.Popen(
                [sys.executable, LEARNING, folder / "learned"], env=told | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            begun.append(process)
        return [Ended(process.communicate(timeout=SECONDS)[0], process.returncode) for process in begun]
