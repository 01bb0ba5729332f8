"""params.yaml as frozen, typed sections: what is not declared here is refused by name."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wattline.errors import InputError
from wattline.task import Task, missing_members

FILE = Path("params.yaml")

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A frozen part of params.yaml. A key that it does not know is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnySection = TypeVar("AnySection", bound=BaseModel)


class TaskParams(Section):
    """Which task runs: its block in params.yaml and its model are called `name`, its code lies in `folder`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    folder: str


class IngestParams(Section):
    """options: one mapping for each source; only that of `source` is read, and the source types it."""

    source: str
    options: Mapping[str, Mapping[str, Any]] = {}


class ValidateParams(Section):
    """first_rows: how many offending values a finding shows."""

    first_rows: int = Field(ge=1)


class ProfileParams(Section):
    """rows: at most so many rows are profiled, evenly spread over units and time."""

    rows: int = Field(ge=100)


class PrepareParams(Section):
    """Fractions of the time axis; where a dataset has an official test part, `test_fraction` is not used.

    validation_fraction: share of what is not test
    minimum_rows: a unit with fewer rows in any split is an error
    """

    validation_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    minimum_rows: int = Field(ge=1)


class EvaluateParams(Section):
    """resamples: bootstrap resamples over units. noise: [standard deviations]. missing: share of values removed."""

    resamples: int = Field(ge=100)
    noise: Positive
    missing: Fraction


class MeasureParams(Section):
    """How the cost of a prediction is measured.

    windows: how many windows of the test rows are used
    repeats: how often candidate and champion take turns
    batch: windows in one batch, for throughput and energy
    """

    windows: int = Field(ge=100)
    repeats: int = Field(ge=3)
    batch: int = Field(ge=1)


class EnergyParams(Section):
    """What energy is estimated from where no counter exists.

    watts_per_core: power of one busy core [W]
    watts_source: where that figure comes from
    """

    watts_per_core: Positive
    watts_source: str = Field(min_length=1)


class DecideParams(Section):
    """advisory: gates whose failure is reported without rejecting. `integrity` cannot be one."""

    advisory: tuple[Literal["data", "quality", "champion", "slices", "robustness", "latency", "energy"], ...] = ()


class DataLimits(Section):
    minimum_rows: int = Field(ge=1)
    minimum_units: int = Field(ge=1)
    maximum_warnings: int = Field(ge=0)


class QualityLimits(Section):
    """The bound of the headline metric's interval must reach `minimum` (or stay under `maximum` where lower is better).

    margin_over_baselines: relative gain over the best baseline's value
    """

    metric: str
    limit: float
    margin_over_baselines: float = Field(ge=0)


class ChampionLimits(Section):
    """tolerance: how much worse than the champion the candidate may be [units of the headline metric]."""

    tolerance: float = Field(ge=0)


class SlicesLimits(Section):
    """The worst group (rack) must reach `limit` in the headline metric; groups under `minimum_rows` are not judged."""

    limit: float
    minimum_rows: int = Field(ge=1)


class RobustnessLimits(Section):
    """maximum_loss: share of the headline metric that may be lost under any one perturbation."""

    maximum_loss: Fraction


class LatencyLimits(Section):
    p99_ms: Positive
    throughput_per_second: Positive


class EnergyLimits(Section):
    """budget_joules: energy of 1,000 predictions [J]. evidence: what kind of figure is accepted."""

    budget_joules: Positive
    evidence: Literal["measured", "estimated"]


class GatesParams(Section):
    """Limits of the gates. `integrity` has none: bytes are equal or they are not."""

    data: DataLimits
    quality: QualityLimits
    champion: ChampionLimits
    slices: SlicesLimits
    robustness: RobustnessLimits
    latency: LatencyLimits
    energy: EnergyLimits


class CardParams(Section):
    """What a model card needs and no stage can find out."""

    owner: str = Field(min_length=1)
    contact: str = Field(min_length=1)
    licence: str = Field(min_length=1)


class Block(Section):
    """The knobs of one task, one section for each stage. `train` is typed by the task's own options."""

    ingest: IngestParams
    validate_: ValidateParams = Field(alias="validate")
    profile: ProfileParams
    prepare: PrepareParams
    train: Mapping[str, Any]
    evaluate: EvaluateParams
    measure: MeasureParams
    energy: EnergyParams
    decide: DecideParams
    gates: GatesParams
    card: CardParams


class ServingParams(Section):
    """port 0 means any free one."""

    host: str
    port: int = Field(ge=0, le=65535)


class Params(Section):
    """One params.yaml, resolved for the task it names."""

    task: TaskParams
    seed: int = Field(ge=0)
    serving: ServingParams
    block: Block

    def section(self, name: str) -> Any:
        """The section that a stage asks for by its parameter name."""
        if name in ("task", "seed", "serving"):
            return getattr(self, name)
        return getattr(self.block, "validate_" if name == "validate" else name)


def load(path: Path = FILE) -> Params:
    """Read and check `path`. Raises InputError naming the key, its value and the rule it breaks."""
    tree = _read(path)
    name = tree.get("task", {}).get("name") if isinstance(tree.get("task"), dict) else None
    blocks = {key for key, value in tree.items() if isinstance(value, dict)} - set(Params.model_fields)
    if name not in blocks:
        raise InputError(f"{path}: task.name is {name!r}, but there is no such block; blocks: {sorted(blocks)}")
    for other in sorted(blocks - {name}):
        typed(Block, tree[other], where=f"{path}: {other}")
    typed(Block, tree[name], where=f"{path}: {name}")
    shared = {key: value for key, value in tree.items() if key not in blocks}
    return typed(Params, {**shared, "block": tree[name]}, where=str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run this in the project's root folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path} must hold a mapping of sections, got {type(tree).__name__}")
    return tree


def typed(kind: type[AnySection], values: Any, *, where: str) -> AnySection:
    """Check `values` against `kind`. Raises InputError with one sentence that names the first offending key.

    where: prefix for the message, e.g. "params.yaml: project.ingest"
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        separator = "." if ": " in where else ": "
        place = f"{where}{separator}{key}" if key else where
        raise InputError(f"{place} {_sentence(first, kind)}") from None


def _sentence(error: Any, kind: type[BaseModel]) -> str:
    rule = {
        "extra_forbidden": "is not a known key",
        "missing": "is missing",
    }.get(error["type"])
    if error["type"] == "missing":
        return f"{rule}; add it (docs/params.md lists every key)"
    if rule:
        known = sorted(kind.model_fields) if len(error["loc"]) == 1 else None
        return f"{rule}, got {error['input']!r}" + (
            f"; known: {', '.join(known)}" if known else "; remove or rename it"
        )
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ").replace("should", "must", 1)
    return f"{message}, got {error['input']!r}"


def load_task(params: TaskParams) -> Task:
    """Import the task that `params` names. Raises InputError when it cannot be, or does not keep the contract."""
    folder = Path(params.folder).resolve()
    if not (folder / "task.py").is_file():
        raise InputError(f"params.yaml: task.folder is {params.folder!r}, which holds no task.py")
    if str(folder.parent) not in sys.path:
        sys.path.insert(0, str(folder.parent))
    try:
        task = importlib.import_module(f"{folder.name}.task").TASK
    except AttributeError:
        raise InputError(f"{params.folder}/task.py must define TASK, an object that keeps wattline.task.Task") from None
    absent = list(missing_members(task))
    if absent:
        raise InputError(f"{params.folder}/task.py: TASK lacks {', '.join(absent)}; see wattline.task.Task")
    if task.description.name != params.name:
        described = f"{params.folder}/task.py describes {task.description.name!r}"
        raise InputError(f"params.yaml: task.name is {params.name!r}, but {described}")
    return task  # type: ignore[no-any-return]
