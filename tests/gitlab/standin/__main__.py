"""Serve the stand-in as a program: prints the address of the API, keeps its state in a file, ends by a signal."""

import argparse
import json
import signal
from pathlib import Path

from gitlab.standin.server import Server


def main() -> None:
    """What the file holds at the start is taken (see State.load); after every call it holds the state as it is then."""
    parser = argparse.ArgumentParser(prog="python -m gitlab.standin", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one")
    parser.add_argument("--state", type=Path, help="JSON file to read at the start and to write after every call")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Server(port=given.port, file=given.state) as server:
        if given.state and given.state.exists():
            server.state.load(json.loads(given.state.read_text()))
        print(server.root, flush=True)
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
