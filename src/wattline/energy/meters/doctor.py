"""The doctor: which meters this machine has, whether they work, and why the others are out."""

import textwrap
import time
from collections.abc import Iterator, Sequence

from wattline.energy import meters
from wattline.energy.meters.meter import Meter, MeterError
from wattline.energy.meters.self_test import self_test
from wattline.params import EnergyParams
from wattline.records import Energy, Record, SelfTest

WIDTH = 110


class Finding(Record):
    """What is known about one meter here.

    problem: why it is out, and what would help; "" where it is here
    reading: of a moment in which nothing was done
    minimum_seconds: shortest activity whose reading is good to 1 % [s]
    """

    name: str
    problem: str = ""
    reading: Energy | None = None
    minimum_seconds: float | None = None
    self_test: SelfTest | None = None

    @property
    def passed(self) -> bool:
        return self.self_test is not None and self.self_test.passed


class Findings(Record):
    """What is known about all meters here.

    wanted: `energy.meter`
    chosen: the finding about the meter that this means here
    """

    wanted: str
    device: meters.Device
    chosen: Finding
    all: tuple[Finding, ...]


def examine(energy: EnergyParams, *, device: meters.Device = "cpu") -> Findings:
    """Make every meter, let it read a moment, and test it. Takes some seconds for each that is here."""
    chosen = _chosen(energy, device)
    others = {name: _finding(name, energy) for name in meters.FACTORIES if name != chosen.name}
    every = [others.get(name, chosen) for name in meters.FACTORIES]
    if chosen not in every and not chosen.problem:
        every.append(chosen)  # a sum that has no name in params.yaml
    return Findings(wanted=energy.meter, device=device, chosen=chosen, all=tuple(every))


def _chosen(energy: EnergyParams, device: meters.Device) -> Finding:
    try:
        return _examined(meters.choose(energy, device=device))
    except MeterError as error:
        return Finding(name=energy.meter, problem=str(error))


def _finding(name: str, energy: EnergyParams) -> Finding:
    try:
        return _examined(meters.FACTORIES[name](energy))
    except MeterError as error:
        return Finding(name=name, problem=str(error))


def _examined(meter: Meter) -> Finding:
    tested = self_test(meter)
    try:
        meter.start()
        time.sleep(0.3)
        reading: Energy | None = meter.stop()
    except (MeterError, ValueError):  # the self-test says why
        reading = None
    return Finding(name=meter.name, reading=reading, minimum_seconds=meter.minimum_seconds, self_test=tested)


def lines(findings: Findings) -> Iterator[str]:
    """For a person: a table, what is behind each row of it, and what it means."""
    yield from _table(findings.all)
    for finding in findings.all:
        yield ""
        yield from _details(finding)
    yield ""
    yield from _wrapped(_conclusion(findings), indent="")


def _table(every: Sequence[Finding]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        ("meter", "here", "self-test", "figures are", "it sees", "smallest step", "shortest activity")
    ]
    rows += [_row(finding) for finding in every]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for place, row in enumerate(rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        if place == 0:
            yield "  ".join("-" * width for width in widths)


def _row(finding: Finding) -> tuple[str, ...]:
    if finding.problem:
        return (finding.name, "no", "-", "-", "-", "-", "-")
    reading = finding.reading
    shown = (
        (reading.provenance, reading.scope or "-", _joules(reading.resolution_joules)) if reading else ("-", "-", "-")
    )
    outcome = "passed" if finding.passed else "FAILED"
    return (finding.name, "yes", outcome, *shown, f"{finding.minimum_seconds:.3g} s")


def _details(finding: Finding) -> Iterator[str]:
    yield finding.name
    if finding.problem:
        yield from _wrapped(f"not here: {finding.problem}")
        return
    if finding.reading is not None:
        yield from _wrapped(f"reads: {finding.reading.sensor}")
        yield from _wrapped(f"inside the boundary: {finding.reading.boundary}")
    for condition in finding.self_test.conditions if finding.self_test else ():
        yield from _wrapped(f"{'ok    ' if condition.holds else 'FAILED'} {condition.name}: {condition.found}")


def _conclusion(findings: Findings) -> str:
    chosen = findings.chosen
    wanted = f"energy.meter: {findings.wanted}, for work on {findings.device}"
    if chosen.problem:
        return f"{wanted}: no meter. {chosen.problem}"
    kind = f", whose figures are {chosen.reading.provenance}" if chosen.reading else ""
    outcome = "it works" if chosen.passed else "it does not work here, and every energy test with it is refused"
    return f"{wanted}: {chosen.name}{kind}; {outcome}."


def _joules(joules: float | None) -> str:
    """A step in the unit that suits it."""
    if joules is None:
        return "unknown"
    for factor, unit in ((1.0, "J"), (1e-3, "mJ")):
        if joules >= factor:
            return f"{joules / factor:.3g} {unit}"
    return f"{joules / 1e-6:.3g} uJ"


def _wrapped(text: str, *, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "       " * bool(indent), break_on_hyphens=False
    )
