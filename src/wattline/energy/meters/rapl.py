"""RAPL: the energy counters of Intel's and AMD's CPU packages, as Linux shows them below /sys/class/powercap."""

import threading
import time
from pathlib import Path

from wattline.energy.meters.meter import MeterError
from wattline.records import Energy

POWERCAP = Path("/sys/class/powercap")


class Rapl:
    """Energy counters of the CPU packages, and of DRAM where it has one of its own.

    root: a folder laid out like /sys/class/powercap
    sample_seconds: how often counters are read while the activity runs. A counter of 262 kJ wraps after 20 minutes
        at 200 W; of two wraps between readings one would be lost.

    Raises MeterError where there is no counter, or one that may not be read.
    """

    # The counters are refreshed about every millisecond (Haehnel et al. 2012, doi 10.1145/2425248.2425252), so that
    # the first and the last reading may each be one refresh old.
    REFRESH_SECONDS = 0.001

    name = "rapl"
    minimum_seconds = 200 * REFRESH_SECONDS  # two stale readings are 1 % of it

    def __init__(self, root: Path = POWERCAP, *, sample_seconds: float = 60.0) -> None:
        self._counters = [Counter(domain) for domain in _domains(root)]
        if not self._counters:
            raise MeterError(f"{root} holds no intel-rapl package; virtual machines and some CPUs have none")
        self._sample_seconds = sample_seconds
        self._sampler: Sampler | None = None
        self._began = time.monotonic()

    def start(self) -> None:
        self._finish()
        for counter in self._counters:
            counter.reset()
        self._began = time.monotonic()
        self._sampler = Sampler(self._counters, self._sample_seconds)

    def stop(self) -> Energy:
        """Raises MeterError when a counter vanished in the meantime, or `start` was not called."""
        if self._sampler is None:
            raise MeterError("the RAPL meter was stopped without having been started; call start() first")
        seconds = time.monotonic() - self._began
        self._finish()
        joules = sum(counter.advance() for counter in self._counters)
        blur = min(1.0, 2 * self.REFRESH_SECONDS / seconds) if seconds else 1.0
        memory = (
            "CPU packages and DRAM" if any(counter.name == "dram" for counter in self._counters) else "CPU packages"
        )
        return Energy(
            joules=joules,
            interval=(joules * (1 - blur), joules * (1 + blur)),
            provenance="measured",
            sensor="rapl:" + "+".join(counter.name for counter in self._counters),
            scope="machine",
            boundary=f"{memory} of this machine: every process on it, idle power included",
            seconds=seconds,
        )

    def _finish(self) -> None:
        if self._sampler is not None:
            self._sampler.finish()
            self._sampler = None


class Counter:
    """One RAPL domain, e.g. /sys/class/powercap/intel-rapl:0. It counts microjoules and wraps."""

    def __init__(self, domain: Path) -> None:
        self._path = domain / "energy_uj"
        self.name = _read(domain / "name")
        self._range = _read_microjoules(domain / "max_energy_range_uj")
        self.reset()

    def reset(self) -> None:
        """Count from here."""
        self._total = 0
        self._last = _read_microjoules(self._path)

    def advance(self) -> float:
        """Read the counter, and return what it counted since `reset` [J]."""
        now = _read_microjoules(self._path)
        self._total += now - self._last + (self._range if now < self._last else 0)
        self._last = now
        return self._total / 1e6


class Sampler:
    """Advances counters now and then, on a thread of its own, until it is told to finish."""

    def __init__(self, counters: list[Counter], seconds: float) -> None:
        self._counters = counters
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rapl-sampler", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._seconds):
            try:
                for counter in self._counters:
                    counter.advance()
            except MeterError:
                return  # the reading in `stop` fails too, where somebody hears it


def _domains(root: Path) -> list[Path]:
    """Packages, and DRAM beside them. Not: core and uncore (inside a package), psys (around all), MMIO (a copy)."""
    return [
        domain
        for domain in sorted(root.glob("intel-rapl:*"))
        if (name := _read(domain / "name")).startswith("package") or name == "dram"
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError:
        raise MeterError(
            f"{path} may not be read; let an administrator run `chmod a+r {path}` or add a udev rule"
        ) from None
    except OSError as error:
        raise MeterError(f"{path} cannot be read ({error.strerror}); check `ls {path.parent}`") from None


def _read_microjoules(path: Path) -> int:
    text = _read(path)
    if not text.isdecimal():
        raise MeterError(f"{path} holds {text!r} where a count of microjoules is expected; the driver is not RAPL's")
    return int(text)
