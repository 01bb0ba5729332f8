"""RAPL: the energy counters of Intel's and AMD's CPU packages, as Linux shows them below /sys/class/powercap."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from wattline.energy.meters.counter import Counter, Source, Watch
from wattline.energy.meters.meter import MeterError
from wattline.records import Energy

POWERCAP = Path("/sys/class/powercap")

# The counters are refreshed about every millisecond (Haehnel et al. 2012, doi 10.1145/2425248.2425252), so that
# the first and the last reading may each be one refresh old.
REFRESH_SECONDS = 0.001
MINIMUM_SECONDS = 200 * REFRESH_SECONDS  # two stale readings are 1 % of it
# A package may draw more than the highest limit that can be set, for milliseconds (PL2, PL4); never four times as much.
OVER_LIMIT = 4


class Rapl:
    """Energy counters of the CPU packages, and of DRAM where it has one of its own.

    root: a folder laid out like /sys/class/powercap; that one by default
    sample_seconds: how often counters are read while the activity runs, at most: a counter that stops on the way is
        noticed, and so is one that wraps. Of two wraps between readings one would be lost, so that counters with a
        short range are read more often: 65 kJ last half a minute at 2 kW.

    Raises MeterError where there is no counter, or one that may not be read.
    """

    name = "rapl"
    minimum_seconds = MINIMUM_SECONDS

    def __init__(self, root: Path | None = None, *, sample_seconds: float = 1.0) -> None:
        root = root or POWERCAP
        domains = _domains(root)
        if not domains:
            raise MeterError(
                f"{root} holds no intel-rapl package; virtual machines and some CPUs have none: on bare metal load the "
                "module intel_rapl_msr, else set energy.meter to a meter of the site's"
            )
        self._counters = [Counter(_source(domain)) for domain in domains]
        self._sample_seconds = min([sample_seconds, *(counter.source.longest_gap / 3 for counter in self._counters)])
        self._unit = sum(_unit(domain) for domain in domains)
        self._watch: Watch | None = None
        self._began = time.monotonic()

    def start(self) -> None:
        """Raises MeterError when a counter cannot be read."""
        self._finish()
        for counter in self._counters:
            counter.reset()
        self._began = time.monotonic()
        self._watch = Watch(self._advance, self._sample_seconds)

    def stop(self) -> Energy:
        """Raises MeterError when a counter vanished or counted nonsense, or `start` was not called."""
        watch = self._finish()
        if watch is None:
            raise MeterError("the RAPL meter was stopped without having been started; call start() first")
        watch.check()
        joules, seconds = self._advance(), time.monotonic() - self._began
        blur = min(1.0, 2 * REFRESH_SECONDS / seconds) if seconds else 1.0
        names = [counter.source.name for counter in self._counters]
        memory = "CPU packages and DRAM" if "dram" in names else "CPU packages"
        return Energy(
            joules=joules,
            interval=(joules * (1 - blur), joules * (1 + blur)),
            provenance="measured",
            sensor="rapl:" + "+".join(names),
            scope="machine",
            boundary=f"{memory} of this machine: every process on it, idle power included",
            seconds=seconds,
            # Files count in steps of 1 uJ; the hardware does not, and it shows a new count only at its refresh.
            resolution_joules=max(self._unit, joules / seconds * REFRESH_SECONDS if seconds else 0.0),
        )

    def _advance(self) -> float:
        return sum([counter.advance() for counter in self._counters])

    def _finish(self) -> Watch | None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.finish()
        return watch


def _source(domain: Path) -> Source:
    source = Source(
        name=_read(domain / "name"),
        read=partial(_joules, domain / "energy_uj"),
        range_joules=_range(domain),
        refresh_seconds=REFRESH_SECONDS,
        stale_seconds=MINIMUM_SECONDS,
    )
    limits = [_joules(path) for path in sorted(domain.glob("constraint_*_max_power_uw"))]
    stated = max(limits, default=0.0)  # 0 where the hardware does not say
    if stated == 0:
        return source
    because = f"{OVER_LIMIT} times the highest power limit in {domain}"
    return replace(source, maximum_watts=OVER_LIMIT * stated, maximum_source=because)


def _range(domain: Path) -> float:
    joules = _joules(domain / "max_energy_range_uj")
    if joules <= 0:
        raise MeterError(f"{domain}/max_energy_range_uj is 0; without a range a wrap cannot be told from an error")
    return joules


def _unit(domain: Path) -> float:
    """Energy of one step of the register [J]. It has 32 bits (Intel SDM 3B, 16.10), and its range is known."""
    return _range(domain) / 2**32


def _domains(root: Path) -> list[Path]:
    """Packages, and DRAM. Not: what else is inside a package, like core, psys (around all), MMIO (a copy)."""
    found = []
    packages: dict[str, Path] = {}
    for domain in sorted(root.glob("intel-rapl:*")):
        name = _read(domain / "name")
        if name.startswith("package") and domain.name.count(":") == 1:
            if name in packages:
                raise MeterError(f"{packages[name]} and {domain} are both {name}; its energy would be counted twice")
            packages[name] = domain
        elif name != "dram":
            continue
        found.append(domain)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError:
        raise MeterError(
            f"{path} may not be read; let an administrator run `chmod a+r {path}` or add a udev rule, which outlasts "
            "a reboot: since CVE-2020-8694 only root may"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise MeterError(f"{path} cannot be read ({reason}); check `ls {path.parent}`") from None


def _joules(path: Path) -> float:
    text = _read(path)
    # 20 digits hold 64 bits, more than any driver writes
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise MeterError(
            f"{path} holds {text[:40]!r} where a count of microjoules is expected; the driver is not RAPL's"
        )
    return int(text) / 1e6
