"""The base of every section of params.yaml, and the kinds of number in them."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A frozen part of params.yaml. A key that it does not know is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_disguised_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` and "7" for a number: YAML has numbers, and a quoted one is a slip of the pen."""
        if _is_number(cls.model_fields[str(info.field_name)].annotation) and _looks_like_a_number(value):
            raise ValueError("must be a number")
        return value


def _is_number(kind: Any) -> bool:
    """Whether a field of this type holds a number, or None in its place."""
    if get_origin(kind) in (Union, UnionType, Annotated):
        return any(_is_number(part) for part in get_args(kind))
    return kind in (int, float)


def _looks_like_a_number(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, bool)
    try:
        float(value)
    except ValueError:
        return False
    return True
