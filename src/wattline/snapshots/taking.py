"""Take a snapshot: pull, merge onto the newest one of the dataset, store, and have DVC track it."""

import shutil
from datetime import datetime
from pathlib import Path

from wattline import params
from wattline.errors import InputError
from wattline.interruption import Say, ended_by_sigterm
from wattline.records import Snapshot
from wattline.snapshots import building, pull, store, versioning
from wattline.snapshots.building import Part
from wattline.snapshots.pull import Question
from wattline.sources.registry import MODULES, is_known


def ask(
    source: str,
    *,
    start: str | None,
    end: str | None,
    page_hours: float | None,
    fresh: bool,
    dvc: bool,
    say: Say,
) -> None:
    """Take a snapshot of `source` with its options of params.yaml, and tell what came of it.

    start, end: ISO 8601 with an offset from UTC
    page_hours: instead of snapshots.page_hours [h]
    fresh: begin a history of its own instead of merging onto the newest snapshot
    """
    check_source(source)
    loaded = params.load()
    hours = loaded.snapshots.page_hours if page_hours is None else page_hours
    if not hours > 0:
        raise InputError(f"--page-hours must be > 0, got {hours:g}")
    options = loaded.block.ingest.options.get(source, {})
    bounds = instant("--from", start), instant("--to", end)
    question = Question(source, options, loaded.seed, *bounds, page_hours=hours, fresh=fresh)
    with ended_by_sigterm():
        take(question, dvc=dvc, say=say)


def take(question: Question, *, dvc: bool, say: Say) -> Path:
    """The folder of the snapshot that holds these rows: a new one, or the one that did so before."""
    with store.opened() as folder:
        pages = [Part(one, pull.record(one)) for one in pull.pages(question, say=say)]
        parent = None if question.fresh else store.newest(folder, pages[-1].record.name)
        with store.space(folder) as place:
            built = building.build(pages, parent=parent, into=place)
            new = store.put(folder, place, built)
        shutil.rmtree(question.folder)
        for line in told(built.record, parent, new=new):
            say(line)
        target = folder / built.record.id
        say(f"dvc          {versioning.add(target) if dvc else 'not asked, with --no-dvc'}")
        return target


def check_source(name: str) -> None:
    """Raise InputError for a word that is no source, or one of which no snapshot can be taken."""
    if not is_known(name):
        known = ", ".join(one for one in MODULES if one != "snapshot")
        raise InputError(
            f"{name!r} is neither a verb of `wattline snapshot` (take, list, show, diff) nor a source; known: {known}, "
            "or a module of yours by dotted name"
        )
    if name == "snapshot":
        raise InputError("a snapshot cannot be taken of source 'snapshot': it is one; name the source of the rows")


def told(snapshot: Snapshot, parent: Part | None, *, new: bool) -> list[str]:
    """What came of it, as lines."""
    before = parent.record.rows if parent else 0
    lines = [
        f"snapshot     {snapshot.id}{'' if new else '  unchanged, nothing new was stored'}",
        f"rows         {snapshot.rows} ({snapshot.rows - before:+d}) of {len(snapshot.units)} units",
    ]
    if parent and parent.record.source != snapshot.source:
        lines.append(f"merged onto  rows of source {parent.record.source}, whose dataset has the same name")
    lines += [f"not taken    {count} samples: {reason}" for reason, count in snapshot.quarantined.items()]
    return lines


def instant(option: str, text: str | None) -> datetime | None:
    """An instant with its offset. Raises InputError for one that is none, or has no offset: nothing is guessed."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is no instant; write one like 2026-03-01T00:00:00Z") from None
    if moment.tzinfo is None:
        raise InputError(f"{option} {text!r} has no offset from UTC; write one like 2026-03-01T00:00:00Z")
    return moment
