"""The process of a server that is measured: reads its job from standard input, serves, and leaves nothing behind.

python -m wattline.measuring.serving.hosted < JOB
"""

import os
import shutil
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import orjson

from wattline.errors import WattlineError
from wattline.params import ServingParams
from wattline.serving import server
from wattline.serving.job import Job


@dataclass(frozen=True)
class Order:
    """What such a process is told.

    params: of the server; address and places of its files as they are to be used
    folder: of the candidate
    scratch: of everything that the server writes; it is removed at the end
    watts_per_core: what the server's own counter of energy is estimated with [W]
    """

    params: ServingParams
    model: str
    folder: Path
    scratch: Path
    watts_per_core: float

    def to_json(self) -> bytes:
        """One line."""
        said = {
            "params": self.params.model_dump(mode="json"),
            "model": self.model,
            "folder": str(self.folder.resolve()),
            "scratch": str(self.scratch.resolve()),
            "watts_per_core": self.watts_per_core,
        }
        return orjson.dumps(said) + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> "Order":
        """Parse what `to_json` made."""
        said = orjson.loads(line)
        places = {name: Path(said[name]) for name in ("folder", "scratch")}
        params = ServingParams.model_validate(said["params"])
        return cls(params=params, model=said["model"], watts_per_core=said["watts_per_core"], **places)


def main() -> int:
    """Serve until SIGTERM, SIGINT, or the end of whoever started this; the exit code."""
    order = Order.from_json(sys.stdin.buffer.readline())
    # As long as the server has no handler of its own: so that what is to be removed at the end is.
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow, name="parent", daemon=True).start()
    try:
        server.serve(_job(order))
    except WattlineError as error:
        print(f"wattline: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    finally:
        shutil.rmtree(order.scratch, ignore_errors=True)
    return 0


def _job(order: Order) -> Job:
    return Job(
        params=order.params,
        model=order.model,
        folder=order.folder,
        challenger=None,
        state=order.scratch / "state",
        watts_per_core=order.watts_per_core,
    )


def _follow() -> None:
    """End when standard input does: who started this is gone, and may not have been able to say so."""
    # Not through sys.stdin, whose lock this thread would hold for ever: an interpreter that ends wants it.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
