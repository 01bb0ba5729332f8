"""The profile of a site: deploy/sites/<site>.yaml, typed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wattline.errors import InputError
from wattline.params import ResourcesParams, Section, typed, unique
from wattline.sites import rules

Name = Annotated[str, AfterValidator(rules.name)]
Text = Annotated[str, AfterValidator(rules.printable)]

FOLDER = Path("deploy/sites")
LOCAL = "local"
PIPELINE = Path("dvc.yaml")


class EnvironmentProfile(Section):
    """What a job's Python runs in.

    kind: none takes the Python that submits; venv and conda are folders; charliecloud is an image's folder, apptainer
        its .sif file, both made of docker/train.Dockerfile
    path: of that folder or file, as nodes see it; variables like $HOME are filled in on the node
    """

    kind: Literal["none", "venv", "conda", "charliecloud", "apptainer"] = "none"
    path: Text = ""


class DaskProfile(Section):
    """Workers for the data stages.

    workers: how many; 0 works in the stage's own process
    jobs: whether each is a job of the scheduler, or all are processes beside the stage
    cores: of one worker
    memory_gib: of one worker [GiB]
    minutes: longest life of a worker's job [min]
    wait_minutes: how long the stage waits while not one worker runs, since all are in the queue [min]
    interface: network by which workers and stage reach each other, e.g. ib0; "": the one of the machine's name
    """

    workers: int = Field(default=0, ge=0)
    jobs: bool = False
    cores: int = Field(default=1, ge=1)
    memory_gib: float = Field(default=2.0, gt=0)
    minutes: int = Field(default=30, ge=1)
    wait_minutes: int = Field(default=60, ge=1)
    interface: str = Field(default="", pattern=r"^[\w.:-]*$")


class Profile(Section):
    """Where stages run.

    description: of the site; "not run there" where nobody has
    scheduler: local runs every stage here
    stages: those that are jobs
    account, partition, qos: as the site named them; "": not given to the scheduler
    resources: of a stage, where `hpc.stages` in params.yaml leaves them open
    modules: loaded in this order, after `module purge`
    environment: what Python runs in
    variables: set in the job; no secrets, the script is a file
    gpu_option: how Slurm is asked for GPUs here: --gpus-per-node=N or --gres=gpu:N
    scratch: folder for temporary files, as nodes see it; "": the node's own
    cache: folder of DVC's cache, seen by login node and nodes; "": inside the project
    proxy: address of an HTTP proxy for the nodes; "": none
    offline: whether nodes have no way out: nothing is downloaded there, and trainings are logged by who submitted
    energy: what counts the energy of an exclusive job
    flags: further options of the scheduler, one line each, e.g. --constraint=gpu
    dask: workers for the data stages
    """

    description: str = Field(min_length=1)
    scheduler: Literal["local", "slurm", "flux"]
    stages: tuple[str, ...] = ()
    account: Name = ""
    partition: Name = ""
    qos: Name = ""
    resources: ResourcesParams = ResourcesParams()
    modules: tuple[Annotated[str, AfterValidator(rules.module)], ...] = ()
    environment: EnvironmentProfile = EnvironmentProfile()
    variables: Mapping[Annotated[str, AfterValidator(rules.variable)], Text] = {}
    gpu_option: Literal["gpus-per-node", "gres"] = "gpus-per-node"
    scratch: Text = ""
    cache: Text = ""
    proxy: Annotated[str, AfterValidator(rules.proxy)] = ""
    offline: bool = True
    energy: Literal["none", "slurm", "ear"] = "none"
    flags: tuple[Annotated[str, AfterValidator(rules.flag)], ...] = ()
    dask: DaskProfile = DaskProfile()


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Every site that has a profile."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def load(site: str, folder: Path = FOLDER) -> Profile:
    """The profile of `site`. Raises InputError naming the file, the key and the rule it breaks."""
    path = folder / f"{site}.yaml"
    if site not in names(folder):
        raise InputError(f"there is no site {site!r}; write {path}, or choose one of {', '.join(names(folder))}")
    tree = unique.read(path)
    try:
        rules.refuse_secrets(tree, where=str(path))
        profile = typed(Profile, tree, where=str(path))
    except RecursionError:
        raise InputError(f"{path} holds an alias of itself; write out what it stands for") from None
    _check_stages(profile, where=str(path))
    return profile


def _check_stages(profile: Profile, *, where: str) -> None:
    """A misspelt stage would run on the login node."""
    if not PIPELINE.is_file():
        return
    known = stages()
    for stage in profile.stages:
        if stage not in known:
            choice = ", ".join(sorted(known))
            raise InputError(f"{where}: stages names {stage!r}, which is no stage of {PIPELINE}: {choice}")


def stages() -> tuple[str, ...]:
    """Those of the pipeline, in its order; none where there is no pipeline. Raises InputError for what is no YAML."""
    tree = unique.read(PIPELINE) if PIPELINE.is_file() else None
    found = tree.get("stages") if isinstance(tree, dict) else None
    return tuple(map(str, found)) if isinstance(found, dict) else ()
