"""params.yaml as frozen, typed sections: what is not declared here is refused by name."""

import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from wattline.errors import InputError
from wattline.params import unique
from wattline.params.bakeoff import BakeoffParams, RuleParams
from wattline.params.deployment import AcceptanceLimits, DeploymentParams, EnvironmentParams, LoadParams
from wattline.params.gates import (
    ChampionLimits,
    DataLimits,
    EnergyLimits,
    GatesParams,
    LatencyLimits,
    QualityLimits,
    RobustnessLimits,
    SlicesLimits,
)
from wattline.params.hpc import HpcParams, ResourcesParams
from wattline.params.live import LiveParams
from wattline.params.monitoring import MonitoringParams
from wattline.params.notebooks import NotebookParams
from wattline.params.registry import RegistryParams
from wattline.params.section import Fraction, Positive, Section
from wattline.params.serving import ServingParams
from wattline.params.snapshots import SnapshotsParams
from wattline.params.stages import (
    CardParams,
    DecideParams,
    EmissionsParams,
    EnergyParams,
    EvaluateParams,
    IngestParams,
    MeasureParams,
    PrepareParams,
    ProfileParams,
    PrometheusParams,
    QuarantineParams,
    RedfishParams,
    ServingLoadParams,
    SessionParams,
    ValidateParams,
)
from wattline.params.sweep import KnobParams, PrunerParams, SweepParams

if TYPE_CHECKING:
    from wattline.task import Task

__all__ = [
    "AcceptanceLimits",
    "BakeoffParams",
    "Block",
    "CardParams",
    "ChampionLimits",
    "DataLimits",
    "DecideParams",
    "DeploymentParams",
    "EmissionsParams",
    "EnergyLimits",
    "EnergyParams",
    "EnvironmentParams",
    "EvaluateParams",
    "Fraction",
    "GatesParams",
    "HpcParams",
    "IngestParams",
    "KnobParams",
    "LatencyLimits",
    "LiveParams",
    "LoadParams",
    "MeasureParams",
    "MonitoringParams",
    "NotebookParams",
    "Params",
    "Positive",
    "PrepareParams",
    "ProfileParams",
    "PrometheusParams",
    "PrunerParams",
    "QualityLimits",
    "QuarantineParams",
    "RedfishParams",
    "RegistryParams",
    "ResourcesParams",
    "RobustnessLimits",
    "RuleParams",
    "Section",
    "ServingLoadParams",
    "ServingParams",
    "SessionParams",
    "SlicesLimits",
    "SnapshotsParams",
    "SweepParams",
    "TaskParams",
    "ValidateParams",
    "load",
    "load_task",
    "typed",
]

FILE = Path("params.yaml")

AnySection = TypeVar("AnySection", bound=BaseModel)


class TaskParams(Section):
    """Which task runs.

    name: what the task, its block in params.yaml and its model are called
    folder: where its task.py lies, seen from the project's root
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    folder: str


class Block(Section):
    """The knobs of one task, one section for each stage. `train` is typed by the task's own options.

    emissions: how the site's electricity is made; null where no grams are to be stated
    presets: source -> section -> values, which `make demo SOURCE=<source>` writes into the sections
    bakeoff: models that `wattline bakeoff` runs side by side
    sweep: options that `wattline sweep` varies
    """

    ingest: IngestParams
    validate_: ValidateParams = Field(alias="validate")
    profile: ProfileParams
    prepare: PrepareParams
    train: Mapping[str, Any]
    evaluate: EvaluateParams
    measure: MeasureParams
    energy: EnergyParams
    emissions: EmissionsParams | None = None
    decide: DecideParams
    gates: GatesParams
    card: CardParams
    presets: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
    bakeoff: BakeoffParams | None = None
    sweep: SweepParams | None = None


class Params(Section):
    """One params.yaml, resolved for the task it names.

    seed: of everything that is drawn at random
    deployment: how images reach a serving host; null where nothing is deployed from here
    hpc: what each stage needs where it runs as a job
    notebooks: how long they may take
    snapshots: how rows are pulled for them
    live: a fleet that is scored as its samples arrive
    """

    task: TaskParams
    seed: int = Field(ge=0)
    registry: RegistryParams
    serving: ServingParams
    deployment: DeploymentParams | None = None
    monitoring: MonitoringParams
    hpc: HpcParams = HpcParams()
    notebooks: NotebookParams = NotebookParams()
    snapshots: SnapshotsParams = SnapshotsParams()
    live: LiveParams = LiveParams()
    block: Block

    @property
    def model(self) -> str:
        """Name in the registry. Models of one task on different sources do not succeed each other."""
        return f"{self.task.name}-{self.block.ingest.source.replace('.', '-')}"

    def section(self, name: str) -> Any:
        """The section that a stage asks for by its parameter name."""
        if name in SHARED:
            return getattr(self, name)
        return getattr(self.block, "validate_" if name == "validate" else name)


SHARED = set(Params.model_fields) - {"block"}

SECRET = re.compile(r"passw|token|secret|[:/][^/\s]*@", re.IGNORECASE)
"""What may hold one: an error is read by more people than params.yaml."""

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


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = unique.read(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run this in the project's root folder") from None
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
        return f"{rule}, {_got(error)}" + (f"; known: {', '.join(known)}" if known else "; remove or rename it")
    subject, should, demand = error["msg"].partition(" should ")
    message = f"must {demand}" if should else subject.removeprefix("Value error, ")
    for words, sign in COMPARISONS.items():
        message = message.replace(words, sign)
    return f"{message}, {_got(error)}"


def _got(error: Any) -> str:
    value = repr(error["input"])
    return "and its value is not shown here" if SECRET.search(f"{error['loc']} {value}") else f"got {value}"


def load_task(params: TaskParams) -> "Task":
    """Import the task that `params` names. Raises InputError when it cannot be, or does not keep the contract."""
    # NumPy comes with it, for which who only submits a job does not wait.
    from wattline.task import missing_members

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
