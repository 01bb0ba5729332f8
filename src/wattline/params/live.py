"""Scoring of a fleet as its samples arrive."""

from pydantic import Field

from wattline.params.section import Positive, Section


class LiveParams(Section):
    """What `wattline live` waits for and sends. Which samples, and from which broker, says the source `mqtt`.

    lateness_seconds: a row waits so long for late samples; those that come later are counted and left out [s]
    maximum_units: units that are scored; samples of further ones are counted
    maximum_waiting: samples whose rows are not closed yet, 20 bytes each; further ones are counted and left out
    report_seconds: between two lines about what was done [s]
    org, cluster: of the topics under which scores are sent; "": none are sent
    """

    lateness_seconds: Positive = 10.0
    maximum_units: int = Field(default=20_000, ge=1, le=1_000_000)
    maximum_waiting: int = Field(default=20_000_000, ge=1)
    report_seconds: Positive = 60.0
    org: str = ""
    cluster: str = ""
