"""A thousand random schedules of register, promote, rollback and recover, with kills and sleeps at any step.

Whatever happens: an acknowledged act is in the log exactly once, the alias never points at a version that a gate
refused, and after a recovery alias, log and what is served agree.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread
from typing import Any

import pytest
from builders import write_candidate, write_data, write_reports
from sqlalchemy import Engine, create_engine, select, text

from tests.registry.project import PARAMS, TRUSTED
from tests.registry.schedules import Actor, Clock, Stepping, stepping
from wattline import files
from wattline.errors import WattlineError
from wattline.registry import audit, evidence, model, promotion, registration, uploading
from wattline.registry.evidence import Evidence
from wattline.registry.ledger.tables import AUDIT
from wattline.registry.model import Model
from wattline.settings import settings
from wattline.signing.entry import MOVES, REGISTERED, Entry, peek
from wattline.signing.entry import Actor as Person

SCHEDULES = int(os.environ.get("WATTLINE_SCHEDULES", "1000"))
SCHEDULES_OF_A_MODEL = 20
CANDIDATES = 3
KILL, SLEEP = 0.03, 0.06
"""Probability at each step that somebody is killed, and that somebody sleeps until its lock has run out."""
LONGEST_SLEEP = 60
"""Steps that others do meanwhile, at most."""
DISTURBANCES = {"none": (0, 0), "sleep": (0, SLEEP), "kill": (KILL, 0), "both": (KILL, SLEEP)}
ENDINGS = ("done", "killed", "SupersededError", "InputError", "RejectedError")


@dataclass
class World:
    """One registered model in a store.

    candidates: accepted ones; version 1 is one that a gate refused, and that is not in the log
    """

    model: Model
    candidates: list[Path]
    engine: Engine

    def alias(self) -> str | None:
        """What the alias points to, straight from MLflow's table."""
        query = text("SELECT version FROM registered_model_aliases WHERE name = :name AND alias = 'champion'")
        with self.engine.connect() as connection:
            found = connection.execute(query, {"name": self.model.name}).scalar_one_or_none()
        return None if found is None else str(found)

    def check_alias(self) -> None:
        """It points nowhere, or at a version that every gate accepted and that the log made champion."""
        found = self.alias()
        if found is not None:
            assert found in self.logged(*MOVES)
            assert found in self.logged(*REGISTERED)

    def logged(self, *actions: str) -> set[str]:
        """Versions that the log names with one of `actions`, straight from its table."""
        wanted = select(AUDIT.c.version).where(AUDIT.c.model == self.model.name, AUDIT.c.action.in_(actions))
        with self.model.ledger._engine.connect() as connection:
            return set(connection.execute(wanted).scalars())


@pytest.mark.nightly  # a fifth of them is tried on PostgreSQL
@pytest.mark.no_cover  # counting lines doubles what it takes
def test_a_thousand_schedules_on_sqlite_leave_nothing_undecided(project: Path, monkeypatch: pytest.MonkeyPatch):
    explore(project, settings().tracking_uri, seed=1, monkeypatch=monkeypatch)


def explore(folder: Path, uri: str, *, seed: int, monkeypatch: pytest.MonkeyPatch, schedules: int = SCHEDULES) -> None:
    """Run so many schedules against the store at `uri`."""
    chance, clock, endings = random.Random(seed), Clock(), Counter[str]()
    monkeypatch.setattr(model, "actor", lambda: Person(name=current_thread().name, kind="person"))
    monkeypatch.setattr(registration, "gather", gather)
    engine = create_engine(uri)
    with stepping(clock):
        for first in range(0, schedules, SCHEDULES_OF_A_MODEL):
            with world(folder, f"model-{first}", engine) as found:
                for turn in range(first, min(first + SCHEDULES_OF_A_MODEL, schedules)):
                    endings.update(schedule(found, clock, chance, turn))
    with model.opened("any", params=PARAMS, trusted=TRUSTED) as opened:
        audit.verify(opened.ledger.envelopes(), TRUSTED)
        audit.check_rows(opened.ledger.rows())
    engine.dispose()
    # Schedules in which something never happens would prove nothing about it.
    assert min(endings[ending] for ending in ENDINGS) >= schedules // 100, endings


@contextmanager
def gather(**_: object) -> Iterator[Evidence]:
    """The candidate that this actor was given, in place of models/candidate."""
    folder: Path = current_thread().candidate  # type: ignore[attr-defined]
    yield evidence.read(folder)


@contextmanager
def world(folder: Path, name: str, engine: Engine) -> Iterator[World]:
    """A model with a refused version 1 and nothing else."""
    candidates = [version(folder / "work" / f"{name}-{place}") for place in range(CANDIDATES)]
    refused = version(folder / "work" / f"{name}-refused", failed=["quality"])
    with model.opened(name, params=PARAMS.model_copy(update={"overridable": ("champion",)}), trusted=TRUSTED) as found:
        stepped = Model(**{**vars(found), "client": Stepping(found.client)})
        said = evidence.read(refused)
        tags = {"wattline.candidate": said.candidate.digest} | uploading.figures(said)
        uploading.create(found, said, tags=tags)
        yield World(stepped, candidates, engine)


def version(folder: Path, *, failed: tuple[str, ...] = ()) -> Path:
    """Everything that is uploaded of a candidate of its own."""
    candidate = write_candidate(folder / "candidate", weights=folder.name.encode())
    write_reports(folder / "reports", candidate, failed=failed)
    write_data(folder / "provenance", folder / "data")
    files.write_text(folder / "cards" / "anomaly.md", "# anomaly\n")
    return folder


def schedule(found: World, clock: Clock, chance: random.Random, turn: int) -> list[str]:
    """One schedule and its check; returns how each verb ended."""
    running = [actor(found, chance, f"{turn}-{place}") for place in range(chance.choice([2, 2, 3]))]
    kill, sleep = DISTURBANCES[chance.choice(sorted(DISTURBANCES))]
    asleep: dict[Actor, int] = {}
    for one in running:
        one.start()
        one.wait()
    while waiting := [one for one in running if not one.finished]:
        awake = [one for one in waiting if not asleep.get(one)] or waiting
        asleep = {one: steps - 1 for one, steps in asleep.items() if steps > 1}
        chosen = chance.choice(awake)
        if chance.random() < kill:
            chosen.kill()
        elif chance.random() < sleep:
            asleep[chosen] = chance.randrange(LONGEST_SLEEP)
            clock.now += PARAMS.lock_seconds + 1
        else:
            chosen.wake()
        found.check_alias()
    check(found, running)
    clock.now += PARAMS.lock_seconds + 1  # of who was killed with the lock
    recovered(found)
    return [one.ending for one in running]


def actor(found: World, chance: random.Random, name: str) -> Actor:
    """Somebody who does something."""
    kind = chance.choice(["register", "register", "promote", "promote", "promote", "rollback", "recover"])
    number = chance.choice([None, "1", "2", "3", "4"])
    verbs: dict[str, Callable[[], Any]] = {
        "register": lambda: registration.register(found.model),
        "promote": lambda: promotion.promote(found.model, number, overrides={"champion": "a schedule"}),
        "rollback": lambda: promotion.rollback(found.model),
        "recover": lambda: promotion.recover(found.model),
    }
    return Actor(name, kind, verbs[kind], candidate=chance.choice(found.candidates))


def check(found: World, running: list[Actor]) -> None:
    """What must hold when all are done, before anybody recovers anything."""
    moves = found.model.moves()
    for one in running:
        if one.error is not None and not isinstance(one.error, WattlineError):
            raise AssertionError(f"{one.name} broke") from one.error
        check_acts(one, moves)
    assert [move.token for move in moves] == sorted(move.token for move in moves), "one wrote under an old token"
    if not any(one.killed for one in running):
        assert found.alias() == (moves[-1].version if moves else None), "nobody was killed, and yet they differ"


def check_acts(one: Actor, moves: list[Entry]) -> None:
    """What somebody was told is in the log, once, and nothing that they were refused."""
    mine = [place for place, move in enumerate(moves) if move.actor.name == one.name]
    assert len(mine) <= 1, f"{one.name} moved the champion twice"
    if one.kind == "rollback" and one.ending == "done":
        assert [moves[place].version for place in mine] == [one.result], "an acknowledged rollback is not in the log"
    if one.kind == "promote" and one.ending == "done":
        promoted = {move.version for move in moves} if not mine else {moves[mine[0]].version}
        assert one.result in promoted, "an acknowledged promotion is not in the log"
    if one.kind == "promote" and mine:
        before = moves[mine[0] - 1] if mine[0] else None
        saw = peek(one.saw) if one.saw is not None else None
        assert before == saw, "somebody else made another one champion, and this promotion went on"
    if one.error is not None:
        assert not mine, "what was refused is in the log"


def recovered(found: World) -> None:
    """After a recovery alias, log and store agree, whatever happened."""
    promotion.recover(found.model)
    moves = found.model.moves()
    assert found.alias() == (moves[-1].version if moves else None)
    versions = found.model.client.search_model_versions(f"name = '{found.model.name}'")
    digests = Counter(one.tags["wattline.candidate"] for one in versions)
    assert max(digests.values()) == 1, "a candidate has two versions"
    entries = [peek(envelope) for envelope in found.model.ledger.registrations(found.model.name)]
    assert len({entry.digest for entry in entries}) == len(entries), "a candidate is registered twice in the log"
