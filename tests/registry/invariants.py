"""What must hold of a registry whatever happened to the processes that changed it."""

from tests.registry.project import NAME, acts, alias, artifacts, fetch, log, opened
from wattline import files
from wattline.records import Decision
from wattline.registry.evidence import refusals
from wattline.registry.tracking import DIGEST


def check(acknowledged: list[tuple[str, str]]) -> None:
    """What holds at every moment: the chain, green gates, and all that was acknowledged, once."""
    done = acts()
    for act in acknowledged:
        assert done.count(act) == 1, (act, done)
    served = alias()
    if served is not None:
        decision = files.read_record(artifacts(served) / "reports/decide.json", Decision)
        assert decision.verdicts
        assert not refusals(decision)


def check_strictly(acknowledged: list[tuple[str, str]]) -> None:
    """What holds after recovery, too: served = alias = last move, and one version of each candidate."""
    check(acknowledged)
    moves = [entry.version for entry in log() if entry.action in ("promote", "rollback")]
    assert fetch().version == alias() == moves[-1]
    with opened() as found:
        digests = [one.tags[DIGEST] for one in found.client.search_model_versions(f"name = '{NAME}'")]
    assert len(digests) == len(set(digests))
