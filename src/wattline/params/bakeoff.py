"""Which models a bake-off trains, and by which rule one of them is chosen."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import StringConstraints, field_validator, model_validator

from wattline.params.section import Positive, Section

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class RuleParams(Section):
    """How one model is chosen. A bound is met by the worse end of a 95 % interval, as gates do it.

    choose: accuracy: the best headline within `budget_joules`; energy: the fewest joules among those that reach `floor`
    budget_joules: energy of 1,000 predictions, for `choose: accuracy` [J]
    floor: headline metric, for `choose: energy`; a ceiling where lower is better [unit of the metric]
    latency_p99_ms: 99th percentile of one window, for either [ms]
    """

    choose: Literal["accuracy", "energy"]
    budget_joules: Positive | None = None
    floor: float | None = None
    latency_p99_ms: Positive | None = None

    @model_validator(mode="after")
    def _has_its_own_bound_alone(self) -> Self:
        """Raise unless the one bound that `choose` asks for is there, and the other one is not."""
        wanted, other = ("budget_joules", "floor") if self.choose == "accuracy" else ("floor", "budget_joules")
        if getattr(self, wanted) is None:
            raise ValueError(f"choose: {self.choose} needs {wanted}; add it")
        if getattr(self, other) is not None:
            raise ValueError(f"choose: {self.choose} knows no {other}, only {wanted}; remove {other}")
        return self


class BakeoffParams(Section):
    """Models that are trained, scored and measured side by side by `wattline bakeoff`.

    models: name -> what differs from the section `train`; nested keys may be given alone
    rule: how one of them is chosen
    """

    models: Mapping[ModelName, Mapping[str, Any]]
    rule: RuleParams

    @field_validator("models", mode="before")
    @classmethod
    def _names_a_model(cls, value: Any) -> Any:
        if not value:
            raise ValueError("must name at least one model")
        return value
