import dataclasses
import math

from ..cases import Holds
from ..samples import CANDIDATE, DATASET, evaluation, measurement, validation

OTHER = "f" * 64
ALL = {"validation": validation(), "evaluation": evaluation(), "measurement": measurement()}


def objections(module, **changes):
    known = {"dataset": DATASET, "candidate": CANDIDATE, **ALL, **changes}
    return module.foreign(module.Evidence(**known))


def about(kind, digest):
    """Objections to one report that is about something else: which reports, and whether both digests are named."""

    def true_of(module):
        spoilt = {
            "validate": {"validation": validation(data=digest)},
            "evaluate rows": {"evaluation": evaluation(data=digest)},
            "evaluate": {"evaluation": evaluation(candidate=digest)},
            "measure": {"measurement": measurement(digest=digest)},
        }[kind]
        found = objections(module, **spoilt)
        wanted = DATASET.id if kind in ("validate", "evaluate rows") else CANDIDATE.digest
        stage = kind.split()[0]
        words = (f"is about {'dataset' if wanted == DATASET.id else 'candidate'} {digest[:12] or repr('')},",)
        words += (f"which is {wanted[:12]};", f"dvc repro {stage}")
        return set(found) == {stage} and all(word in found[stage] for word in words)

    return true_of


def answer(module):
    @module.fails_closed
    def gate(evidence):
        raise module.Insufficient("nothing is known")

    return gate(None)


def without(name):
    return lambda module: set(objections(module, **{name: None})) == set()


def frozen(module):
    try:
        module.Evidence().checks = ()
    except dataclasses.FrozenInstanceError:
        return True
    return False


def subject_missing(module):
    found = objections(module, dataset=None, candidate=None)
    return set(found) == {"validate", "evaluate", "measure"} and all(
        "whose record is missing" in text for text in found.values()
    )


CASES = (
    Holds("reports about this candidate and these rows raise no objection", lambda module: objections(module) == {}),
    *(
        Holds(f"a {kind} report about {digest[:4] or 'nothing'} is objected to", about(kind, digest))
        for kind in ("validate", "evaluate rows", "evaluate", "measure")
        for digest in (OTHER, "0" * 64, "")
    ),
    *(Holds(f"an absent {name} is not foreign", without(name)) for name in ALL),
    Holds("without a record of the candidate and the rows no report can be about them", subject_missing),
    Holds(
        "without a record of the candidate the rows still can be known",
        lambda module: set(objections(module, candidate=None)) == {"evaluate", "measure"},
    ),
    Holds(
        "without a record of the rows the candidate still can be known",
        lambda module: set(objections(module, dataset=None)) == {"validate", "evaluate"},
    ),
    Holds(
        "a gate that lacks evidence answers with its name, its reason and no figure",
        lambda module: (
            (answer(module).name, answer(module).outcome, answer(module).passed, answer(module).reason)
            == ("gate", "FAIL", False, "nothing is known")
            and math.isnan(answer(module).value)
            and math.isnan(answer(module).limit)
        ),
    ),
    Holds("evidence cannot be changed once it is gathered", frozen),
    Holds("a report that is there is handed on", lambda module: module.present(DATASET, "ingest") is DATASET),
)
