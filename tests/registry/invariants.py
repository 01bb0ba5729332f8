"""What must hold of a registry whatever happened to the processes that changed it."""

from collections.abc import Sequence

from tests.registry.project import NAME, TRUSTED, fetch, opened
from wattline.registry import audit, lookup
from wattline.registry.alias import points_to
from wattline.registry.evidence import refusals
from wattline.registry.model import Model
from wattline.registry.stored import downloaded
from wattline.registry.tracking import DIGEST
from wattline.signing.entry import MOVES

Acts = Sequence[tuple[str, str]]


def check(acknowledged: Acts) -> None:
    """What holds at every moment: the chain, green gates, and all that was acknowledged, once."""
    with opened() as found:
        _check(found, acknowledged)


def check_strictly(acknowledged: Acts) -> None:
    """What holds after recovery, too: served = alias = last move, and one version of each candidate."""
    with opened() as found:
        served = _check(found, acknowledged)
        moves = [entry.version for entry in found.moves()]
        digests = [one.tags[DIGEST] for one in found.client.search_model_versions(f"name = '{NAME}'")]
    assert fetch().version == served == moves[-1]
    assert len(digests) == len(set(digests))


def _check(model: Model, acknowledged: Acts) -> str | None:
    log, _ = audit.verify(model.ledger.envelopes(), TRUSTED)
    audit.check_rows(model.ledger.rows())
    done = [(entry.action, entry.version) for entry in log]
    for act in acknowledged:
        assert done.count(act) == 1, (act, done)
    served = points_to(model)
    if served is not None:
        with downloaded(lookup.number(model, served)) as evidence:
            assert evidence.decision.verdicts
            assert not refusals(evidence.decision)
        assert served in {entry.version for entry in log if entry.action in MOVES}
    return served
