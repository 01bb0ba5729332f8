"""The time that is asked of a source that never ends."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

from pydantic import AwareDatetime, Field, model_validator

from wattline.params import Section


class Span(NamedTuple):
    """From `start` until before `end`, both UTC."""

    start: datetime
    end: datetime


class SpanOptions(Section):
    """Options of a source that is asked for a span of time. `wattline snapshot --from --to` sets the first two.

    start: first instant, with an offset from UTC
    end: instant after the last one; now, where it is absent
    minutes: instead of `start`, so many minutes before the end
    """

    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    minutes: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if (self.start is None) == (self.minutes is None):
            raise ValueError("give either `start` or `minutes`: how far to look back")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"start {self.start.isoformat()} must be before end {self.end.isoformat()}")
        return self

    def span(self, now: datetime) -> Span:
        """What is asked for at `now`, UTC."""
        end = (self.end or now).astimezone(UTC)
        if self.start is not None:
            return Span(self.start.astimezone(UTC), end)
        assert self.minutes is not None
        return Span(end - timedelta(minutes=self.minutes), end)
