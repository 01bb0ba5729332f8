"""Models in the plane of energy and quality."""

from typing import Literal

from pydantic import Field

from wattline.records.base import Figure, Record
from wattline.records.energy import Energy
from wattline.records.model import Metric


class Point(Record):
    """One model in the plane of energy and quality.

    kind: "candidate", "version" (registered earlier) or "baseline"; in a bake-off "chosen" or "model"
    score: headline metric on the same test rows
    joules_per_1000, interval: energy of 1,000 predictions and its 95 % confidence interval [J]
    comparable: whether it was scored on the same rows, and its energy read from the same sensor, on the same kind of
        machine and for the same work
    """

    name: str
    kind: Literal["candidate", "version", "baseline", "chosen", "model"]
    score: Figure
    joules_per_1000: Figure
    interval: tuple[Figure, Figure] = (float("nan"), float("nan"))
    provenance: Literal["measured", "estimated"]
    comparable: bool = True


class Pareto(Record):
    """The candidate beside every earlier version and the baselines. The candidate comes first.

    headline: metric of the scores
    """

    headline: Metric
    points: tuple[Point, ...] = Field(min_length=1)


class EarlierVersion(Record):
    """What the reports of a registered version say of it.

    digest: of its candidate
    metric, score: headline metric, its name and the value
    rows_sha256: of the test rows it was scored on
    batch, machine: how, and on what, its energy was found out
    origin: the site that it was imported from; None for one of ours
    """

    version: str
    digest: str
    metric: str
    score: Figure
    rows_sha256: str
    energy_per_1000: Energy
    batch: int = Field(ge=1)
    machine: str
    origin: str | None = None


class Earlier(Record):
    """Every version of a model that was registered so far, as `wattline champion` found them, the oldest first.

    unreadable: versions whose reports are not what was signed or cannot be read, and why, one sentence each
    """

    model: str | None = None
    versions: tuple[EarlierVersion, ...] = ()
    unreadable: tuple[str, ...] = ()
