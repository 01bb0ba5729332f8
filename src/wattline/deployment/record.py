"""What a container showed, as a report that a promotion rests on."""

from pydantic import AwareDatetime, Field

from wattline.deployment.state import Release
from wattline.records import Energy, Record, ServingWindow, Verdict
from wattline.records.base import Figure

NAMES = ("smoke", "errors", "latency", "throughput", "energy")


class Load(Record):
    """Figures of the load test.

    p50_ms, p99_ms: at `rate_per_second`, since each request was due; NaN where none was answered [ms]
    throughput_per_second: right answers, with all `connections` busy [1/s]
    requests, errors: of both together
    """

    p50_ms: Figure
    p99_ms: Figure
    rate_per_second: float = Field(gt=0)
    throughput_per_second: float = Field(ge=0)
    connections: int = Field(ge=1)
    requests: int = Field(ge=1)
    errors: int = Field(ge=0)


class Acceptance(Record):
    """Content of reports/ci/acceptance.json.

    release: what ran
    energy_per_1000: of one-window requests through the container; None where no meter could tell
    idle_watts: what is taken off; NaN without a figure [W]
    windows: every reading of the meter
    """

    environment: str
    release: Release
    at: AwareDatetime
    machine: str
    verdicts: tuple[Verdict, ...]
    load: Load
    energy_per_1000: Energy | None
    idle_watts: Figure
    windows: tuple[ServingWindow, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every question was asked and answered with yes."""
        said = {verdict.name: verdict for verdict in self.verdicts}
        return all(name in said and said[name].passed and not said[name].refused for name in NAMES)

    @property
    def exit_code(self) -> int:
        """0: passed; 1: something failed; 3: nothing failed, but the energy cannot be told."""
        if self.passed:
            return 0
        failed = [one for one in self.verdicts if not one.passed and not one.refused]
        return 1 if failed or len(self.verdicts) < len(NAMES) else 3
