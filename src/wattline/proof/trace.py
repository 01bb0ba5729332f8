"""From a prediction, a version or a dataset to everything it rests on, and to who approved it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattline import files, predictions, signing
from wattline.errors import InputError, IntegrityError
from wattline.proof import deeds, making
from wattline.proof.deeds import minute
from wattline.proof.draft import Draft
from wattline.registry import lookup, statements
from wattline.registry.model import Model
from wattline.registry.moving import ORIGIN
from wattline.registry.stored import downloaded
from wattline.registry.tracking import DIGEST
from wattline.signing import entry as entries
from wattline.signing import model_signature
from wattline.supply.lineage.graph import Lineage, Node, address

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SHORTEST = 8
"""Least digits of a dataset's id that are taken for one."""
DATA, METRIC = "wattline.data", "wattline.metric."
SIGNED = (signing.FILE, entries.FILE, model_signature.FILE)


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
    if what.isascii() and what.isdecimal() and len(what) < SHORTEST:
        version = lookup.number(model, what)
        return _finished(draft, _version(draft, model, version), version)
    answer = predictions.find(log, what) if log is not None else None
    if answer is not None:
        return _prediction(draft, model, answer, log)
    versions = _trained_on(model, what)
    if not versions:
        raise InputError(
            f"{what[:80]!r} is no version of {model.name}, no prediction in {log or 'a log of answers'} and no dataset "
            f"that a version was trained on; give a number, the id of an answer, or the id of a dataset, {SHORTEST} "
            "digits of it or more"
        )
    for version in versions:
        _version(draft, model, version)
    finished, data = draft.finish(), versions[-1].tags[DATA]
    return Trace(finished, finished.node(address("dataset", data)), versions[-1])


@contextmanager
def files_of(version: "ModelVersion") -> Iterator[Path]:
    """A folder with the verified files of `version`, and what was signed about it in signed/; it vanishes."""
    with downloaded(version) as evidence:
        for name in SIGNED:
            envelope = statements.fetch(version, name=name)
            if envelope is not None:
                files.write_bytes(evidence.folder / "signed" / name, envelope)
        yield evidence.folder


def _finished(draft: Draft, root: Node, version: "ModelVersion") -> Trace:
    return Trace(draft.finish(), root, version)


def _trained_on(model: Model, data: str) -> list["ModelVersion"]:
    """Versions that were trained on the dataset whose id begins with `data`, the oldest first.

    Raises InputError where that is more than one dataset. A version that was deleted is none.
    """
    if len(data) < SHORTEST:
        return []
    numbers = sorted(model.registrations().values(), key=int)
    found = [one for number in numbers if (one := lookup.by_number(model.client, model.name, number)) is not None]
    chosen = [one for one in found if one.tags.get(DATA, "").startswith(data.lower())]
    datasets = sorted({one.tags[DATA] for one in chosen})
    if len(datasets) > 1:
        raise InputError(f"{data!r} begins the ids of {len(datasets)} datasets: {', '.join(datasets)}; give more of it")
    return chosen


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
    if version.tags.get(DIGEST) != answer["digest"]:
        asked, here = answer["digest"][:12], version.tags.get(DIGEST, "unknown")[:12]
        raise IntegrityError(
            f"prediction {answer['id']} is by candidate {asked}, but version {number} of {model.name} here is "
            f"candidate {here}; trace it in the registry that its server reads"
        )
    node = draft.add("prediction", answer["id"], answer["id"], _answer_facts(answer))
    draft.link(node, "wasDerivedFrom", _version(draft, model, version))
    for said in predictions.feedback_on(log, answer["id"]) if log is not None else ():
        facts = {"comment": said["comment"], "received": minute(said["received_at"])}
        label = {1: "an anomaly", 0: "no anomaly"}.get(said["label"], "not known")
        feedback = draft.add("feedback", said["id"], label, facts)
        draft.link(feedback, "wasDerivedFrom", node)
        draft.link(feedback, "wasAttributedTo", draft.add("person", said["by"], said["by"]))
    return _finished(draft, node, version)


def _answer_facts(answer: dict[str, Any]) -> dict[str, object]:
    """What a person asks first comes first."""
    score, threshold = answer["score"], answer["threshold"]
    limit = "" if threshold is None else f" (threshold {threshold:.6g})"
    return {
        "answered": f"{answer['answered_at']:%Y-%m-%d %H:%M:%S} UTC",
        "unit": answer["unit"],
        "score": None if score is None else f"{score:.6g}{limit}",
        "alarm": {True: "yes", False: "no"}.get(answer["alarm"]),
        "asked by": answer["principal"],
        "route": answer["route"],
        "role": answer["role"],
        "window SHA-256": answer["input_sha256"],
    }


def _version(draft: Draft, model: Model, version: "ModelVersion") -> Node:
    """Add a version with everything that it rests on, and what was done with it."""
    number, tags = str(version.version), version.tags
    with downloaded(version) as evidence:
        signed = statements.verified(version, evidence, model.trusted)
        candidate = making.describe(draft, version, model.client.get_run(version.run_id), evidence)
    facts = {
        "standing": deeds.standing(model.moves(), number),
        "imported from": tags.get(ORIGIN),
        **{name.removeprefix(METRIC): said for name, said in sorted(tags.items()) if name.startswith(METRIC)},
        "registered": minute(making.instant(version.creation_timestamp)),
    }
    node = draft.add("version", f"{model.name}/{number}", f"{model.name} {number}", facts)
    draft.link(node, "wasDerivedFrom", candidate)
    statement = draft.add("statement", signed, "signed", {"key": tags.get(statements.KEY)}, sha256=signed)
    draft.link(statement, "wasDerivedFrom", node)
    if ORIGIN in tags:
        site = tags[ORIGIN].rpartition(": ")[0]
        draft.link(node, "wasAttributedTo", draft.add("site", site, site))
    deeds.describe(draft, model.about(number), version=node, statement=statement, candidate=tags[DIGEST])
    return node
