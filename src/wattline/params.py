"""params.yaml as frozen, typed sections: what is not declared here is refused by name."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from wattline.errors import InputError
from wattline.task import Task, missing_members

FILE = Path("params.yaml")

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A frozen part of params.yaml. A key that it does not know is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_disguised_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` and "7" for a number: YAML has numbers, and a quoted one is a slip of the pen."""
        if cls.model_fields[str(info.field_name)].annotation in (int, float) and _looks_like_a_number(value):
            raise ValueError("must be a number")
        return value


AnySection = TypeVar("AnySection", bound=BaseModel)


def _looks_like_a_number(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, bool)
    try:
        float(value)
    except ValueError:
        return False
    return True


class TaskParams(Section):
    """Which task runs.

    name: what the task, its block in params.yaml and its model are called
    folder: where its task.py lies, seen from the project's root
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    folder: str


class IngestParams(Section):
    """Where rows come from.

    source: name of a source, or the dotted name of a module of yours
    options: one mapping for each source; only that of `source` is read, and the source types it
    """

    source: str
    options: Mapping[str, Mapping[str, Any]] = {}


class ValidateParams(Section):
    """first_rows: how many offending values a finding shows."""

    first_rows: int = Field(ge=1)


class ProfileParams(Section):
    """rows: at most so many rows, evenly spread over units and time, enter quantiles and the comparison of parts."""

    rows: int = Field(ge=100)


class PrepareParams(Section):
    """How rows are cut by time.

    validation_fraction: last share of what is not test
    test_fraction: last share of the span; not used where the publisher has a test part
    minimum_rows: a unit with fewer recorded rows in any split is an error
    """

    validation_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    minimum_rows: int = Field(ge=1)


class EvaluateParams(Section):
    """How sure the scores are, and what disturbs them.

    resamples: bootstrap resamples over units
    noise: perturbation, added to every value [standard deviations of its column]
    missing: perturbation, share of values removed
    """

    resamples: int = Field(ge=100)
    noise: Positive
    missing: Fraction


class MeasureParams(Section):
    """How the cost of a prediction is measured.

    windows: how many windows of the test rows are used
    repeats: how often candidate and champion take turns
    predictions: windows answered in one turn, for throughput and energy: enough for the meter to count
    batch: windows in one batch, for throughput and energy
    """

    windows: int = Field(ge=100)
    repeats: int = Field(ge=3)
    predictions: int = Field(ge=1000)
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
    """What the raw rows must be; a critical finding never passes.

    minimum_rows: rows of all units
    minimum_units: units
    maximum_warnings: expectations of severity `warning` that may fail
    """

    minimum_rows: int = Field(ge=1)
    minimum_units: int = Field(ge=1)
    maximum_warnings: int = Field(ge=0)


class QualityLimits(Section):
    """How accurate a candidate must be.

    metric: name of the task's headline metric
    limit: what the worse bound of its interval must reach, from above where lower is better [unit of the metric]
    margin_over_baselines: relative gain over the best baseline's value
    """

    metric: str
    limit: float
    margin_over_baselines: float = Field(ge=0)


class ChampionLimits(Section):
    """tolerance: how much worse than the champion the candidate may be [unit of the headline metric]."""

    tolerance: float = Field(ge=0)


class SlicesLimits(Section):
    """How good the worst group (a rack) must be.

    limit: what it must reach in the headline metric [unit of the headline metric]
    minimum_rows: groups with fewer test rows are not judged
    """

    limit: float
    minimum_rows: int = Field(ge=1)


class RobustnessLimits(Section):
    """maximum_loss: share of the headline metric that may be lost under any one perturbation."""

    maximum_loss: Fraction


class LatencyLimits(Section):
    """How fast answers must be, on one thread.

    p99_ms: 99th percentile of the time for one window [ms]
    throughput_per_second: windows in batches of `measure.batch` [1/s]
    """

    p99_ms: Positive
    throughput_per_second: Positive


class EnergyLimits(Section):
    """What a prediction may cost.

    budget_joules: energy of 1,000 predictions [J]
    evidence: the weakest kind of figure that is accepted; `measured` refuses estimates
    """

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
    """What a model card needs and no stage can find out.

    owner: who answers for the model
    contact: where they are reached
    licence: under which the model is handed on, as an SPDX identifier where there is one
    """

    owner: str = Field(min_length=1)
    contact: str = Field(min_length=1)
    licence: str = Field(min_length=1)


class Block(Section):
    """The knobs of one task, one section for each stage. `train` is typed by the task's own options.

    presets: source -> section -> values, which `make demo SOURCE=<source>` writes into the sections
    """

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
    presets: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}


class ServingParams(Section):
    """Where `wattline serve` listens.

    host: address
    port: 0 means any free one
    """

    host: str
    port: int = Field(ge=0, le=65535)


class Params(Section):
    """One params.yaml, resolved for the task it names.

    seed: of everything that is drawn at random
    """

    task: TaskParams
    seed: int = Field(ge=0)
    serving: ServingParams
    block: Block

    @property
    def model(self) -> str:
        """Name in the registry. Models of one task on different sources do not succeed each other."""
        return f"{self.task.name}-{self.block.ingest.source.replace('.', '-')}"

    def section(self, name: str) -> Any:
        """The section that a stage asks for by its parameter name."""
        if name in ("task", "seed", "serving"):
            return getattr(self, name)
        return getattr(self.block, "validate_" if name == "validate" else name)


SHARED = set(Params.model_fields) - {"block"}

COMPARISONS = {
    "greater than or equal to": ">=",
    "less than or equal to": "<=",
    "greater than": ">",
    "less than": "<",
}


def load(path: Path = FILE) -> Params:
    """Read and check `path`. Raises InputError naming the key, its value and the rule it breaks."""
    tree = _read(path)
    name = tree.get("task", {}).get("name") if isinstance(tree.get("task"), dict) else None
    blocks = {key for key, value in tree.items() if isinstance(value, dict)} - SHARED
    if not isinstance(name, str) or name not in blocks:
        raise InputError(
            f"{path}: task.name is {name!r}, but there is no such block; blocks: {sorted(blocks, key=str)}"
        )
    for other in sorted(blocks - {name}, key=str):
        typed(Block, tree[other], where=f"{path}: {other}")
    typed(Block, tree[name], where=f"{path}: {name}")
    shared = {key: value for key, value in tree.items() if key not in blocks}
    return typed(Params, {"block": tree[name], **shared}, where=str(path))


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key stands once: of two values nobody could tell which one counts."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.MarkedYAMLError(problem=f"the key {twice[0]!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text(), Loader=_UniqueKeys)  # noqa: S506  # a SafeLoader
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
        # A misspelt key is also a missing one: the misspelling is what a person wants to hear of.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
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
        names = sorted(field.alias or name for name, field in kind.model_fields.items() if name != "block")
        known = names if len(error["loc"]) == 1 else None
        return f"{rule}, got {error['input']!r}" + (
            f"; known: {', '.join(known)}" if known else "; remove or rename it"
        )
    subject, should, demand = error["msg"].partition(" should ")
    message = f"must {demand}" if should else subject.removeprefix("Value error, ")
    for words, sign in COMPARISONS.items():
        message = message.replace(words, sign)
    return f"{message}, got {error['input']!r}"


def load_task(params: TaskParams) -> Task:
    """Import the task that `params` names. Raises InputError when it cannot be, or does not keep the contract."""
    folder = Path(params.folder).resolve()
    if not (folder / "task.py").is_file():
        raise InputError(f"params.yaml: task.folder is {params.folder!r}, which holds no task.py")
    task = getattr(_imported(folder, params.folder), "TASK", None)
    if task is None:
        raise InputError(f"{params.folder}/task.py must define TASK, an object that keeps wattline.task.Task")
    absent = list(missing_members(task))
    if absent:
        raise InputError(f"{params.folder}/task.py: TASK lacks {', '.join(absent)}; see wattline.task.Task")
    if task.description.name != params.name:
        described = f"{params.folder}/task.py describes {task.description.name!r}"
        raise InputError(f"params.yaml: task.name is {params.name!r}, but {described}")
    return task  # type: ignore[no-any-return]


def _imported(folder: Path, shown: str) -> ModuleType:
    """The module task.py in `folder`. Raises InputError saying why there is none."""
    known = sys.modules.get(folder.name)
    if known is not None and str(folder) not in getattr(known, "__path__", ()):
        raise InputError(
            f"params.yaml: task.folder is {shown!r}, but another package {folder.name!r} is imported already; "
            "rename the folder"
        )
    if str(folder.parent) not in sys.path:
        sys.path.insert(0, str(folder.parent))
    try:
        return importlib.import_module(f"{folder.name}.task")
    except Exception as error:  # whatever a task does when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{shown}/task.py cannot be imported: {reason}; correct it or install what it needs"
        ) from error
