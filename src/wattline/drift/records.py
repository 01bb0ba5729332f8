"""What a comparison of rows found out."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from wattline.records import Figure, Record

Outcome = Literal["drifted", "quiet", "unknown"]


class ColumnDrift(Record):
    """One column of what was served beside the same column of the reference.

    distance: largest difference of the two distribution functions; a missing value counts as the smallest one
    limit: what parts of the reference reach against its rest, with the risk that was chosen
    stuck: units whose last values are all the same one, longer than chance or the reference explain
    missing, reference_missing: share of values that are missing
    median, reference_median: of the others, in `unit`
    """

    name: str
    unit: str
    drifted: bool
    distance: float = Field(ge=0, le=1)
    limit: float = Field(ge=0)
    stuck: tuple[str, ...] = ()
    missing: float = Field(ge=0, le=1)
    reference_missing: float = Field(ge=0, le=1)
    median: Figure
    reference_median: Figure


class Drift(Record):
    """Rows, or scores, beside the reference.

    rows, reference_rows: those that are compared
    unknown_rows: of units that the reference does not have, and that are not among these
    """

    rows: int = Field(ge=0)
    reference_rows: int = Field(ge=0)
    units: int = Field(ge=0)
    unknown_rows: int = Field(ge=0)
    columns: tuple[ColumnDrift, ...] = ()

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that drifted."""
        return tuple(column.name for column in self.columns if column.drifted)

    @property
    def share(self) -> float:
        """Share of the columns that drifted; NaN without columns."""
        return len(self.drifted) / len(self.columns) if self.columns else float("nan")


class Side(Record):
    """Rows of one of both folders.

    data: id of the dataset or snapshot; `kind`, what it is
    start, end: first and last instant of the rows that were compared
    """

    name: str
    data: str
    kind: Literal["raw rows", "prepared rows", "snapshot"]
    rows: int = Field(ge=1)
    units: int = Field(ge=1)
    start: datetime
    end: datetime


class Verdict(Record):
    """One comparison. Without enough rows it is "unknown", which is no "quiet".

    of: "units of both", each held against itself, or "new units", held against all of the reference
    reason: a sentence with the figures behind it
    """

    of: Literal["units of both", "new units"]
    outcome: Outcome
    reason: str
    drift: Drift


class DatasetDrift(Record):
    """Outcome of `wattline drift`.

    risk: chance that anything is said to have drifted where nothing changed
    splits: A/A comparisons inside the reference that the limits come from
    maximum_share: share of the columns that may have drifted
    appeared, vanished: units that one of both does not have
    """

    outcome: Outcome
    reference: Side
    current: Side
    risk: float
    splits: int
    maximum_share: float
    seed: int
    verdicts: tuple[Verdict, ...]
    appeared: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
