"""Everything is asked at once: three servers that are dead cost as much time as one."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from wattline import params
from wattline.errors import InputError
from wattline.gitlab.asking import Answer, ask, is_safe
from wattline.gitlab.doctor.facts import Facts, Keys, Outcome, Place
from wattline.gitlab.doctor.needs import Kind
from wattline.gitlab.doctor.probes import api, database, machine, registry, remote, tracking
from wattline.settings import Settings

SECONDS = 25.0
"""For all answers together. What a name server swallows ends here, too."""
OUTCOMES = ("ledger", "remote", "registry")


def gather(known: Settings, kind: Kind) -> Facts:
    """Ask everything that can be asked from here. A server that says nothing is a fact like any other."""
    now, trouble = datetime.now(UTC), ""
    trusted: tuple[str, ...] = ()
    try:
        trusted = params.load().serving.model.trusted_keys
    except InputError as error:
        trouble = str(error)
    runners = {f"runner {name}": question for name, question in api.runner_questions(known).items()}
    asked: dict[str, Callable[[], Any]] = {**_questions(known), **runners, "keys": partial(machine.keys, trusted)}
    answers = at_once(asked, seconds=SECONDS)
    found = {name: _late(name) if name not in answers else answers[name] for name in asked}
    online = {name.removeprefix("runner "): found.pop(name) for name in runners}
    kept = {name: one for name, one in found.items() if one is not None}
    return Facts(known=known, kind=kind, now=now, params_trouble=trouble, runners=online, **kept)


def at_once(questions: Mapping[str, Callable[[], Any]], *, seconds: float) -> dict[str, Any]:
    """The answers that came in time. Nobody waits for the others, not even the end of the process.

    seconds: for all of them together
    """
    answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    for name, question in questions.items():
        threading.Thread(target=_put, args=(answers, name, question), daemon=True).start()
    until = time.monotonic() + seconds
    found: dict[str, Any] = {}
    while len(found) < len(questions):
        try:
            name, answer = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        found[name] = answer
    failures = [one for one in found.values() if isinstance(one, Exception)]
    if failures:
        raise failures[0]
    return found


def _put(answers: "queue.SimpleQueue[tuple[str, Any]]", name: str, question: Callable[[], Any]) -> None:
    try:
        answers.put((name, question()))
    except Exception as error:  # raised again by who waits
        answers.put((name, error))


def _questions(known: Settings) -> dict[str, Callable[[], Any]]:
    asked: dict[str, Callable[[], Any]] = {**api.questions(known), **tracking.questions(known)}
    asked["place"] = partial(machine.place, known)
    asked["registry"] = partial(registry.try_out, known)
    if known.has_ledger:
        asked["ledger"] = partial(database.try_out, known.ledger_uri)
    if known.dvc_remote:
        asked["remote"] = partial(remote.try_out, known.dvc_remote)
    vault = known.vault_address
    if known.vault_role and vault and is_safe(vault):
        asked["sealed"] = lambda: ask(f"{vault.rstrip('/')}/v1/sys/health", authority=known.vault_ca_file)
    return asked


def _late(name: str) -> Any:
    if name == "place":
        return Place()
    if name == "keys":
        return Keys(trouble="the key could not be read in time")
    return Outcome("connect", trouble="silent") if name in OUTCOMES else Answer(trouble="silent")
