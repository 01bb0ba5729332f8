from wattline.records import Decision, Verdict

from ..cases import Holds


def verdict(name, *, passed=False, refused=False):
    return Verdict(name=name, passed=passed, refused=refused, value=1, limit=1, reason=f"because of {name}")


DECISION = Decision(
    candidate="a",
    data="b",
    verdicts=(
        verdict("quality", passed=True),
        verdict("slices"),
        verdict("latency", passed=True),
        verdict("energy", refused=True),
    ),
    advisory=("latency", "energy"),
)

CASES = (
    Holds(
        "each gate is one line: outcome, name and reason in columns, and what is only advice says so",
        lambda module: (
            module.lines(DECISION)
            == [
                "PASS    quality     because of quality",
                "FAIL    slices      because of slices",
                "PASS    latency     because of latency",
                "REFUSE  energy      because of energy (advisory)",
            ]
        ),
    ),
)
