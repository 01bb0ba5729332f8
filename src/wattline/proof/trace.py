"""From a prediction, a version or a dataset to everything it rests on, and to who approved it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wattline import predictions
from wattline.errors import InputError
from wattline.proof import making
from wattline.proof.draft import Draft
from wattline.registry import lookup, statements
from wattline.registry.model import Model
from wattline.registry.moving import ORIGIN
from wattline.registry.stored import downloaded
from wattline.signing.entry import MOVES, Entry
from wattline.supply.lineage.graph import Lineage, Node

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SHORTEST = 8
"""Least digits of a dataset's id that are taken for one."""


@dataclass(frozen=True)
class Trace:
    """A lineage, the node that was asked for, and the newest version in it."""

    lineage: Lineage
    root: Node
    version: "ModelVersion"


def trace(model: Model, what: str, *, log: Path | None) -> Trace:
    """The lineage of `what`: the id of a prediction, the number of a version or the id of a dataset.

    log: folder of the log of answers; None where there is none
    Raises InputError when nothing has this name, IntegrityError when a version does not hold.
    """
    draft = Draft()
    if what.isdecimal() and len(what) < SHORTEST:
        version = lookup.number(model, what)
        return _finished(draft, _version(draft, model, version), version)
    answer = predictions.find(log, what) if log is not None else None
    if answer is not None:
        return _prediction(draft, model, answer, log)
    numbers = _trained_on(model, what)
    if not numbers:
        raise InputError(
            f"{what[:80]!r} is no version of {model.name}, no prediction in {log or 'a log of answers'} and no dataset "
            "that a version was trained on; give a number, the id of an answer, or the id of a dataset"
        )
    for number in numbers:
        _version(draft, model, version := lookup.number(model, number))
    finished = draft.finish()
    data = version.tags["wattline.data"]
    return Trace(finished, next(one for one in finished.of_kind("dataset") if one.id.endswith(data)), version)


@contextmanager
def files_of(version: "ModelVersion") -> Iterator[Path]:
    """A folder with the files of `version`, verified, as a research object wants them; it vanishes afterwards."""
    with TemporaryDirectory(prefix="wattline-") as temporary, downloaded(version) as evidence:
        folder = Path(temporary) / "version"
        evidence.folder.rename(folder)
        yield folder
        folder.rename(evidence.folder)


def _finished(draft: Draft, root: Node, version: "ModelVersion") -> Trace:
    return Trace(draft.finish(), root, version)


def _trained_on(model: Model, data: str) -> list[str]:
    """Versions that were trained on the dataset whose id begins with `data`."""
    if len(data) < SHORTEST:
        return []
    numbers = sorted(model.registrations().values(), key=int)
    found = {number: lookup.by_number(model.client, model.name, number) for number in numbers}
    return [number for number, one in found.items() if one and one.tags.get("wattline.data", "").startswith(data)]


def _prediction(draft: Draft, model: Model, answer: dict[str, Any], log: Path | None) -> Trace:
    if answer["model"] != model.name:
        raise InputError(
            f"prediction {answer['id']} is by {answer['model']}, params.yaml is about {model.name}; trace it there"
        )
    number = answer["version"] or model.registered(answer["digest"])
    if number is None:
        raise InputError(
            f"prediction {answer['id']} is by candidate {answer['digest'][:12]}, which was never registered; a folder "
            "was served without a statement"
        )
    version = lookup.number(model, number)
    facts = {name: answer[name] for name in ("answered_at", "unit", "score", "threshold", "alarm", "role", "principal")}
    facts |= {"window SHA-256": answer["input_sha256"], "route": answer["route"]}
    node = draft.add("prediction", answer["id"], f"prediction {answer['id']}", facts)
    draft.link(node, "wasDerivedFrom", _version(draft, model, version))
    for said in predictions.feedback_on(log, answer["id"]) if log is not None else ():
        label = {1: "an anomaly", 0: "no anomaly"}.get(said["label"], "not known")
        feedback = draft.add("feedback", said["id"], f"feedback: {label}", {"comment": said["comment"]})
        draft.link(feedback, "wasDerivedFrom", node)
        draft.link(feedback, "wasAttributedTo", draft.add("person", said["by"], said["by"]))
    return _finished(draft, node, version)


def _version(draft: Draft, model: Model, version: "ModelVersion") -> Node:
    """Add a version with everything that it rests on, and what was done with it."""
    number = str(version.version)
    with downloaded(version) as evidence:
        signed = statements.verified(version, evidence, model.trusted)
        candidate = making.describe(draft, version, model.client.get_run(version.run_id), evidence)
    scores = {name.removeprefix("wattline.metric."): said for name, said in version.tags.items() if ".metric." in name}
    node = draft.add("version", f"{model.name}/{number}", f"{model.name} version {number}", scores)
    draft.link(node, "wasDerivedFrom", candidate)
    statement = draft.add(
        "statement", signed, "signed statement", {"key": version.tags.get(statements.KEY)}, sha256=signed
    )
    draft.link(statement, "wasDerivedFrom", node)
    if ORIGIN in version.tags:
        site = draft.add("site", version.tags[ORIGIN], f"imported from {version.tags[ORIGIN]}")
        draft.link(node, "wasAttributedTo", site)
    _deeds(draft, model.about(number), version=node, statement=statement)
    return node


def _deeds(draft: Draft, entries: Sequence[Entry], *, version: Node, statement: Node) -> None:
    """What the audit log says was done with a version, and by whom."""
    approvals: list[Node] = []
    for entry in entries:
        name = entry.actor.name
        who = draft.add("person", name, name, {"kind": entry.actor.kind, "job": entry.actor.job})
        facts = {"audit entry": entry.sequence, "reason": entry.reason or None}
        if entry.action in ("register", "import", "sign"):
            draft.link(version if entry.action != "sign" else statement, "wasAttributedTo", who)
        elif entry.action == "approve":
            node = draft.add("approval", str(entry.sequence), f"approval by {name}", facts, ended=entry.at)
            draft.link(node, "used", statement)
            draft.link(node, "wasAssociatedWith", who)
            approvals.append(node)
        elif entry.action in MOVES:
            label = "promotion" if entry.action == "promote" else "rollback to it"
            facts |= {"champion before it": entry.former}
            node = draft.add("promotion", str(entry.sequence), label, facts, ended=entry.at)
            draft.link(node, "used", version, statement)
            draft.link(node, "wasAssociatedWith", who)
            if entry.action == "promote":
                draft.link(node, "wasInformedBy", *approvals)
