"""Sweeps on their way to MLflow: kept in the state folder, and sent as soon as there is a store."""

from collections.abc import Callable, Iterator
from pathlib import Path

from wattline import files
from wattline.errors import WattlineError
from wattline.registry import store, sweeps
from wattline.registry.sweeps import Entry
from wattline.settings import settings
from wattline.sweep.plan import folder
from wattline.sweep.record import Sweep, Trial

Say = Callable[[str], object]

KEPT, SENT = "sweep.json", "sent"
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}


def keep(found: Sweep, place: Path) -> None:
    """Keep the outcome in the folder of its study until it is sent. Other trials of it are sent again later."""
    files.write_text(place / KEPT, found.to_json())


def waiting() -> list[Path]:
    """Outcomes that are not in the store as they are here."""
    return [path for path in sorted(folder().glob(f"*/{KEPT}")) if _sent(path) != files.sha256(path)]


def send_all(*, say: Say) -> None:
    """Send what waits, unless WATTLINE_OFFLINE says that there is no way. What cannot be sent stays."""
    if settings().offline:
        say(f"kept         {len(waiting())} for `wattline sync`, as WATTLINE_OFFLINE is set")
        return
    try:
        for line in sync():
            say(f"sent         {line}")
    except WattlineError as error:
        say(f"{error}; run `wattline sync` later")


def sync() -> list[str]:
    """Send every outcome that waits, and say which. Raises WattlineError when the store cannot be reached."""
    said = []
    for path in waiting():
        found, digest = files.read_record(path, Sweep), files.sha256(path)
        with store.session() as client:
            run = sweeps.send(
                client,
                task=found.task,
                study=found.study,
                parent=_parent(found),
                children=[_child(one, found) for one in found.trials],
            )
        files.write_text(path.with_name(SENT), digest)
        said.append(f"{found.study} as run {run} with {len(found.trials)} trials")
    return said


def _sent(path: Path) -> str:
    try:
        return path.with_name(SENT).read_text()
    except FileNotFoundError:
        return ""


def _parent(found: Sweep) -> Entry:
    best = found.best
    figures = {"trials": float(len(found.trials))}
    if best is not None:
        figures |= {f"best_{found.objective}": best.objective}
    if found.energy is not None:
        figures["training_energy_joules"] = found.energy.joules
    return Entry(
        key="",
        name=f"sweep-{found.study.rpartition('-')[2]}",
        params={
            "objective": found.objective,
            "sampler": found.sampler,
            "pruner": found.pruner,
            "seed": str(found.seed),
        },
        tags={
            "wattline.data": found.data,
            "wattline.sweep.best": str(best.slot) if best else "none",
            "wattline.sweep.beats_default": str(best.beats_default).lower() if best else "false",
        },
        figures=figures,
        status="FINISHED" if best else "FAILED",
        started_ms=min((one.started_ms for one in found.trials), default=0),
        ended_ms=max((one.ended_ms for one in found.trials), default=0),
    )


def _child(one: Trial, found: Sweep) -> Entry:
    return Entry(
        key=f"{one.slot}.{one.number}",
        name=f"trial-{one.slot}",
        params={key: str(value) for key, value in one.values.items()} | {"seed": str(found.seed)},
        tags=dict(_tags(one, found)),
        figures=dict(_figures(one, found)),
        curves=one.curves,
        status=STATUS[one.state],
        started_ms=one.started_ms,
        ended_ms=one.ended_ms,
    )


def _tags(one: Trial, found: Sweep) -> Iterator[tuple[str, str]]:
    yield "wattline.data", found.data
    yield "wattline.sweep.state", one.state
    yield "wattline.sweep.worker", one.worker
    if one.reason:
        yield "wattline.sweep.reason", one.reason
    if one.energy is not None:
        yield "wattline.training_energy", f"{one.energy.provenance}: {one.energy.sensor}"


def _figures(one: Trial, found: Sweep) -> Iterator[tuple[str, float]]:
    if one.objective is not None:
        yield f"validation.{found.objective}", one.objective
    yield "training_attempts", float(one.attempts)
    yield "trial_seconds", one.seconds
    if one.energy is not None:
        yield "training_energy_joules", one.energy.joules
