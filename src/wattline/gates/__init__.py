"""Gates: one question a file, a pure function from evidence and limits to a verdict. What is missing never passes."""

from wattline.gates.champion import champion
from wattline.gates.data import data
from wattline.gates.energy import energy
from wattline.gates.evidence import Evidence, foreign, unanswered
from wattline.gates.integrity import integrity
from wattline.gates.latency import latency
from wattline.gates.quality import quality
from wattline.gates.robustness import robustness
from wattline.gates.slices import slices
from wattline.params import GatesParams, SessionParams
from wattline.records import Verdict

__all__ = ["NAMES", "Evidence", "judge"]

NAMES = ("integrity", "data", "quality", "champion", "slices", "robustness", "latency", "energy")

REPORTS = {
    "data": ("validate",),
    "quality": ("evaluate",),
    "champion": ("evaluate",),
    "slices": ("evaluate",),
    "robustness": ("evaluate",),
    "latency": ("measure",),
    "energy": ("evaluate", "measure"),
}
"""Gate -> stages whose reports it judges. `integrity` compares bytes instead."""


def judge(evidence: Evidence, limits: GatesParams, *, session: SessionParams) -> tuple[Verdict, ...]:
    """Ask every gate, in the order of `NAMES`. A report about something else passes nothing.

    session: how the energy test was planned
    """
    verdicts = {
        "integrity": integrity(evidence.checks),
        "data": data(evidence.validation, limits.data),
        "quality": quality(evidence.evaluation, limits.quality),
        "champion": champion(evidence.evaluation, limits.champion),
        "slices": slices(evidence.evaluation, limits.slices),
        "robustness": robustness(evidence.evaluation, limits.robustness),
        "latency": latency(evidence.measurement, limits.latency),
        "energy": energy(
            evidence.measurement,
            limits.energy,
            evaluation=evidence.evaluation,
            champion=limits.champion,
            session=session,
            earlier=evidence.earlier,
        ),
    }
    objections = foreign(evidence)
    verdicts |= {
        name: unanswered(name, objections[stage])
        for name, stages in REPORTS.items()
        for stage in stages
        if stage in objections
    }
    return tuple(verdicts[name] for name in NAMES)
