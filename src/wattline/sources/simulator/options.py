"""What can be set about the simulated cluster."""

from typing import Self

from pydantic import Field, model_validator

from wattline.params import Fraction, Positive, Section

MINIMUM_ROWS = 100
MAXIMUM_NODE_ROWS = 10_000_000
"""About 4 GB of memory."""


class Options(Section):
    """A cluster and its week.

    nodes: simulated nodes, one unit each
    nodes_per_rack: nodes that share their air, one group each
    days: simulated time [d]
    cadence_seconds: distance of two rows [s]
    test_fraction: last share of the time, where faults are labelled
    jobs_per_node_day: jobs submitted for each node [1/d]
    faults_per_node_day: faults of each node in the test part [1/d]; at least one on each
    train_faults: faults in the whole train part, unlabelled
    missing_share: share of samples that never arrive
    """

    nodes: int = Field(default=16, ge=1)
    nodes_per_rack: int = Field(default=8, ge=1)
    days: Positive = 7.0
    cadence_seconds: float = Field(default=60.0, ge=1, le=3_600)
    test_fraction: float = Field(default=0.4, gt=0, lt=1)
    jobs_per_node_day: Positive = 8.0
    faults_per_node_day: Positive = 1.0
    train_faults: int = Field(default=1, ge=0)
    missing_share: Fraction = 0.01

    @property
    def rows(self) -> int:
        """Rows of a node, those included that never arrive."""
        return round(self.days * 86_400 / self.cadence_seconds)

    @property
    def test_row(self) -> int:
        """First row of the test part."""
        return self.rows - round(self.rows * self.test_fraction)

    @model_validator(mode="after")
    def _size(self) -> Self:
        if min(self.test_row, self.rows - self.test_row) < MINIMUM_ROWS:
            raise ValueError(f"days must give at least {MINIMUM_ROWS} rows to train and to test each")
        if self.rows * self.nodes > MAXIMUM_NODE_ROWS:
            raise ValueError(f"nodes x days must stay under {MAXIMUM_NODE_ROWS:,} rows in all")
        return self
