"""What became of an expectation."""

from dataclasses import dataclass

from wattline.task import Expectation


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation.

    prose: what it demands, for people
    count, share: how many rows do not meet it; 1 and 1.0 for one that is about a column or table as a whole
    rows: positions of the first of them in the table; of all, where that was asked for
    observed: the value that was found where no row is to blame, or why it could not be evaluated
    """

    expectation: Expectation
    columns: tuple[str, ...]
    prose: str
    passed: bool
    count: int = 0
    share: float = 0.0
    rows: tuple[int, ...] = ()
    observed: str = ""
