"""Counts energy in a folder as IBM's Active Energy Manager does, at the power in its file `watts`."""

import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])
MICROJOULES_AT_START = 10**9
PERIOD_SECONDS = 0.1


def put(name: str, value: int) -> None:
    """Write a value so that no reader sees half of it."""
    (FOLDER / f".{name}").write_text(f"{value}\n")
    (FOLDER / f".{name}").replace(FOLDER / name)


def main() -> None:
    joules, before = 0.0, time.monotonic()
    while True:
        watts = float((FOLDER / "watts").read_text() or 0)
        now = time.monotonic()
        joules, before = joules + watts * (now - before), now
        put("energy1_input", MICROJOULES_AT_START + round(joules * 1e6))
        put("power1_average", round(watts * 1e6))
        time.sleep(PERIOD_SECONDS)


main()
