"""OpenMetrics 1.0 as text, which Prometheus's own format reads, too: gauges with help and unit, and `# EOF`."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True)
class Sample:
    """One figure with its labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """Figures of one kind.

    unit: base unit, with which `name` must end; empty for a figure without one
    """

    name: str
    text: str
    samples: tuple[Sample, ...]
    unit: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or (self.unit and not self.name.endswith(f"_{self.unit}")):
            raise ValueError(f"{self.name!r} is no name of a metric in {self.unit or 'no unit'}")


def render(families: Iterable[Family]) -> str:
    """The families that have a finite figure. A figure that is not defined is left out, not written as a number."""
    lines = [line for family in families for line in _lines(family)]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _lines(family: Family) -> list[str]:
    samples = {f"{family.name}{_labels(one.labels)}": one.value for one in family.samples if math.isfinite(one.value)}
    if not samples:
        return []
    head = [f"# TYPE {family.name} gauge"]
    if family.unit:
        head.append(f"# UNIT {family.name} {family.unit}")
    head.append(f"# HELP {family.name} {_escaped(family.text)}")
    return head + [f"{name} {value!r}" for name, value in samples.items()]


def _labels(labels: Mapping[str, str]) -> str:
    for name in labels:
        if not LABEL.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a label")
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str) -> str:
    """`text` in one line. Other control characters than a line feed would end it for some readers, so they go."""
    kept = "".join(sign if sign == "\n" or sign.isprintable() else "\ufffd" for sign in text)
    return kept.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
