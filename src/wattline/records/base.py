"""What every record is made of: frozen, typed, JSON in and JSON out."""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

Provenance = Literal["measured", "estimated", "computed"]

# JSON has no NaN: an undefined figure (a score of a unit without anomalies, say) is null in a file and NaN in memory.
Figure = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: value if math.isfinite(value) else None, when_used="json"),
]


class Record(BaseModel):
    """A frozen value object. Unknown fields are refused, so that a renamed one cannot be lost silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", defer_build=True)

    def to_json(self) -> str:
        """Render with fixed field order, two-space indentation and a final newline: equal records, equal bytes."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse `text`. Raises pydantic.ValidationError on anything but this record."""
        return cls.model_validate_json(text)
