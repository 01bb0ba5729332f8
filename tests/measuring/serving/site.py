"""A small candidate as `train` leaves it, rows to ask about, and the project's own knobs."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.builders import COLUMNS, UNITS, series, write_candidate
from wattline import params
from wattline.energy.meters import Estimate, Meter, cpu_time
from wattline.measuring.serving.session import measure_serving
from wattline.params import ServingLoadParams, ServingParams
from wattline.records import ServingEnergy
from wattline.task import Split

ROOT = Path(__file__).parents[3]
NAMES = [column.name for column in COLUMNS]
KNOBS = ServingLoadParams(requests=100, rows=100, repeats=3, connections=4, idle_seconds=0.05, timeout_seconds=120.0)
WATTS = 12.5


def candidate(folder: Path, **options: Any) -> Path:
    """A candidate that nobody has signed."""
    write_candidate(folder, **({"golden": True} | options))
    return folder


def rows() -> Split:
    """Test rows of three units, of which the last one is unknown to the model."""
    return {unit: series(300, unit=unit, history=20, seed=at) for at, unit in enumerate((*UNITS, "node-77"))}


def serving(**sections: Any) -> ServingParams:
    """The project's server with other values in some sections, and a log that is written often."""
    found = params.load(ROOT / "params.yaml").serving
    changes = {"log": {"flush_seconds": 0.1}, "limits": {"deadline_seconds": 120.0}} | sections
    update = {
        name: getattr(found, name).model_copy(update=values) if isinstance(values, dict) else values
        for name, values in changes.items()
    }
    return found.model_copy(update=update)


def estimate(root: int) -> Meter:
    """CPU time of the server."""
    return Estimate(watts_per_core=WATTS, watts_source="a test", idle_share=0.0, idle_source="a test", root=root)


def measured(
    folder: Path,
    *,
    params: ServingParams | None = None,
    knobs: ServingLoadParams = KNOBS,
    meter: Callable[[int], Meter] = estimate,
) -> ServingEnergy:
    """What `measure_serving` finds for the candidate in `folder`."""
    return measure_serving(
        folder, rows(), columns=NAMES, meter=meter, serving=params or serving(), knobs=knobs, watts_per_core=WATTS
    )


def tree(root: int) -> list[int]:
    """A process and all that it started."""
    return [root, *cpu_time.descendants(root)]


def alive(process: int) -> bool:
    """Whether a process runs, or waits to be asked how it ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    """What `condition` gives once it is true."""
    overdue = time.monotonic() + seconds
    while time.monotonic() < overdue:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"this did not become true: {condition}")


@contextmanager
def powercap(root: Path, joules: Callable[[], float]) -> Iterator[Path]:
    """A counter of one CPU package in `root` that counts `joules` from now on, refreshed every two milliseconds.

    It vanishes as soon as there is a file `gone` in `root`.
    """
    domain = root / "intel-rapl:0"
    domain.mkdir(parents=True)
    (domain / "name").write_text("package-0\n")
    (domain / "max_energy_range_uj").write_text("262143328850\n")
    ended = threading.Event()

    def refresh() -> None:
        fresh = root / "fresh"
        fresh.write_text(f"{round(1e6 * joules())}\n")
        fresh.rename(domain / "energy_uj")

    def work() -> None:
        while not ended.wait(0.002):
            if (root / "gone").exists():
                (domain / "energy_uj").unlink()
                return
            refresh()

    refresh()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield root
    finally:
        ended.set()
        thread.join()
