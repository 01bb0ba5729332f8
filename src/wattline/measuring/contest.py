"""An energy test of real models: from their folders and the test rows to everything that was observed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from wattline.energy.meters import Device, Meter
from wattline.energy.meters.self_test import self_test
from wattline.energy.paired import Judgement, judge, looks, session
from wattline.energy.paired.session import Plan, Say
from wattline.energy.paired.worker import Entrant, Name
from wattline.interruption import ended_by_sigterm
from wattline.measuring import requests
from wattline.measuring.process import Process
from wattline.params import GatesParams, MeasureParams
from wattline.records import EnergyTest, Requests
from wattline.serving.inference import contents
from wattline.task import Split, Task


@dataclass(frozen=True)
class Rows:
    """The test rows, and how they are called.

    columns: of the last axis of their values
    """

    test: Split
    columns: Sequence[str]
    cadence_seconds: float


@dataclass(frozen=True)
class Rules:
    """The parts of params.yaml that an energy test goes by.

    device: what the models run on, as the server would run them
    """

    measure: MeasureParams
    gates: GatesParams
    device: Device = "cpu"


def hold(
    folders: Mapping[Name, Path],
    rows: Rows,
    *,
    meter: Meter,
    task: Task,
    rules: Rules,
    seed: int,
    say: Say,
    evidence: Literal["measured", "estimated"] = "estimated",
) -> EnergyTest:
    """Hold a session between the model in `folders["candidate"]` and that in `folders["baseline"]`, or without one.

    seed: of the order of the blocks
    say: called with what is done, the share that is done (0..1) and figures
    evidence: the weakest kind of figure that is worth taking samples for
    Raises InputError or IntegrityError when a model cannot be loaded, does not fit the rows, or there are no rows.
    """
    import_module("scipy.special")  # the judgement needs it: half a second that would be overhead of the session
    asked = requests.choose(rows.test, rules.measure.windows)
    params = rules.measure.session
    plan = Plan(
        requests=Requests(
            sha256=requests.sha256(asked),
            windows=sum(len(series) for series in asked.values()),
            batch=rules.measure.batch,
            passes=1,
        ),
        headline=task.description.headline,
        params=params,
        seed=seed,
        evidence=evidence,
        looks=looks(params.minimum_blocks, params.maximum_blocks),
        more=lambda test: verdict(test, rules).more,
    )
    score = partial(requests.score, asked, task=task, cadence_seconds=rows.cadence_seconds)
    with _scratch() as scratch:
        entrants = [
            _entrant(name, folders[name], scratch, asked=asked, columns=rows.columns, rules=rules, score=score)
            for name in ("candidate", "baseline")
            if name in folders
        ]
        return session.hold(entrants, plan=plan, meter=meter, self_test=self_test, say=say)


def verdict(test: EnergyTest, rules: Rules) -> Judgement:
    """What the session says, by the limits in params.yaml."""
    params = rules.measure.session
    return judge(
        test,
        rules.gates.energy,
        tolerance=rules.gates.champion.tolerance,
        maximum_blocks=params.maximum_blocks,
        session=params,
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for requests and answers, which nobody else may read and which vanishes, also on SIGTERM."""
    with ended_by_sigterm(), TemporaryDirectory(prefix="wattline-") as folder:
        yield Path(folder)


def _entrant(
    name: Name,
    folder: Path,
    scratch: Path,
    *,
    asked: Split,
    columns: Sequence[str],
    rules: Rules,
    score: "partial[float]",
) -> Entrant:
    """Write what the model is asked, in the form that it wants."""
    verified = contents.read(folder)
    windows, units = requests.windows_of(asked, verified.signature, columns)
    path, digest = scratch / f"{name}.npz", verified.candidate.digest
    np.savez(path, windows=windows, units=units)

    def load() -> Process:
        return Process(
            folder,
            path,
            digest=digest,
            name=f"the {name}",
            batch=rules.measure.batch,
            timeout_seconds=rules.measure.session.timeout_seconds,
            device=rules.device,
        )

    return Entrant(name=name, digest=digest, load=load, score=score)
