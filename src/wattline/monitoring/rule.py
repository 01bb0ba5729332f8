"""The rule: what a look leaves to the next one, and whether a retraining is asked for. Pure functions."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from wattline.monitoring.records import Counters, Decision, Signal, State
from wattline.params.monitoring import RetrainingParams


def streaks(signals: Sequence[Signal], before: State | None, *, digest: str) -> dict[str, int]:
    """Looks in a row that raised each alarm.

    An answer that is unknown neither counts nor breaks the row. Another champion begins anew.
    """
    former = before.streaks if before is not None and before.digest == digest else {}
    counted: dict[str, int] = {}
    for one in signals:
        so_far = former.get(one.name, 0)
        counted[one.name] = {"alarm": so_far + 1, "quiet": 0, "unknown": so_far}[one.outcome]
    return counted


def next_state(
    signals: Sequence[Signal],
    before: State | None,
    *,
    digest: str,
    since: datetime,
    now: datetime,
    counters: Counters | None,
) -> State:
    """What the next look must know. It begins where this one did until there are enough answers of the champion.

    since: where this look began
    """
    enough = any(one.name == "scores" and one.outcome != "unknown" for one in signals)
    return State(
        looked_at=now,
        since=now if enough else since,
        digest=digest,
        streaks=streaks(signals, before, digest=digest),
        counters=counters,
    )


def begin(before: State | None, *, now: datetime, longest_hours: float) -> datetime:
    """Where a look begins: where the last one says, but no further back than `longest_hours`."""
    earliest = now - timedelta(hours=longest_hours)
    return earliest if before is None else min(max(before.since, earliest), now)


def decide(signals: Sequence[Signal], state: State, rule: RetrainingParams) -> Decision:
    """Whether a retraining is asked for.

    state: with the streaks of this look
    """
    alarms = [one.name for one in signals if one.outcome == "alarm"]
    watched = [name for name in alarms if name in rule.signals]
    by = tuple(name for name in watched if state.streaks.get(name, 0) >= rule.looks)
    if by:
        return Decision(retrain=True, by=by, reason=f"{_looks(rule.looks)} in a row: {', '.join(by)}")
    if watched:
        rows = ", ".join(f"{name} {state.streaks[name]} of {rule.looks}" for name in watched)
        return Decision(retrain=False, reason=f"an alarm, but not yet in enough looks in a row: {rows}")
    unknown = [one.name for one in signals if one.outcome == "unknown" and one.name in rule.signals]
    reported = f"; {', '.join(alarms)} raised an alarm and is only reported" if alarms else ""
    if unknown:
        return Decision(retrain=False, reason=f"no alarm, and no answer on {', '.join(unknown)}{reported}")
    return Decision(retrain=False, reason=f"no alarm{reported}")


def _looks(count: int) -> str:
    return f"{count} {'look' if count == 1 else 'looks'}"
