"""Did what is served drift away from what the champion was trained on?"""

from wattline.drift.columns import allowed, judged, said
from wattline.drift.records import Drift
from wattline.monitoring.records import Signal
from wattline.params.monitoring import DriftParams, SignalName


def signal(name: SignalName, found: Drift, params: DriftParams, *, minimum: int, what: str) -> Signal:
    """The answer to: has more than the allowed share of the columns drifted?

    what: "rows" or "answers", of which there must be `minimum`
    """
    beside = f", {found.unknown_rows} more of units that it was not trained on" if found.unknown_rows else ""
    if not found.columns:
        scarce = f"{found.rows} {what} of trained units{beside}, {found.reference_rows} of the reference"
        return Signal(
            name=name, outcome="unknown", lacking="too few samples", reason=f"{scarce}: {minimum} of both are needed"
        )
    return Signal(
        name=name,
        outcome=judged(found, params),
        value=found.share,
        limit=allowed(found, params),
        reason=f"{said(found)}; {found.rows} {what} of {found.units} units against {found.reference_rows}{beside}",
    )
