"""What a job's Python runs in: how a virtual environment, conda, Charliecloud or Apptainer wrap a command."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wattline.errors import InputError
from wattline.sites.profile import EnvironmentProfile
from wattline.sites.quoting import expanded, words

IN_IMAGE = "/opt/wattline/bin:/usr/local/bin:/usr/bin:/bin"
"""PATH in an image of docker/train.Dockerfile: Charliecloud does not know the one that the image names."""


@dataclass(frozen=True)
class Wrapping:
    """How a command enters an environment.

    lines: of shell, before the launcher; they call `give_up` with a sentence where the environment is not there
    command: what the launcher starts, as shell
    """

    lines: tuple[str, ...]
    command: str


def wrapped(
    environment: EnvironmentProfile,
    command: Sequence[str],
    *,
    root: Path,
    binds: Sequence[str] = (),
    gpus: bool = False,
) -> Wrapping:
    """`command` in `environment`. Raises InputError where the profile names no path for it.

    root: the project, which is also where the command starts
    binds: further folders that a container sees; variables in them are filled in on the node
    gpus: whether a container gets the node's drivers
    """
    if environment.kind == "none":
        return Wrapping((f'export PATH={words([str(Path(sys.executable).parent)])}:"$PATH"',), words(command))
    if not environment.path:
        raise InputError(f"environment.path is empty; name the folder or image that kind {environment.kind} runs in")
    path = environment.path if environment.path.startswith(("/", "$")) else str(root / environment.path)
    if environment.kind in CONTAINERS:
        return CONTAINERS[environment.kind](path, command, str(root), tuple(binds), gpus)
    return Wrapping(FOLDERS[environment.kind](path), words(command))


def _venv(path: str) -> tuple[str, ...]:
    return (
        f"environment={expanded(path)}",
        '[ -x "$environment/bin/python" ] || give_up "there is no virtual environment at $environment;'
        ' run: wattline stage-in"',
        'export VIRTUAL_ENV="$environment" PATH="$environment/bin:$PATH"',
    )


def _conda(path: str) -> tuple[str, ...]:
    return (
        f"environment={expanded(path)}",
        '[ -x "$environment/bin/python" ] || give_up "there is no conda environment at $environment;'
        ' create it with: conda create --prefix"',
        'export CONDA_PREFIX="$environment" PATH="$environment/bin:$PATH"',
        "# What `conda activate` would run; such scripts read variables that are not set.",
        "set +u",
        'for hook in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do',
        "    # shellcheck source=/dev/null",
        '    if [ -r "$hook" ]; then source "$hook"; fi',
        "done",
        "set -u",
    )


def _in_image(command: Sequence[str]) -> list[str]:
    """The same with the image's Python: the project is mounted and not installed there."""
    return ["python3", "-m", "wattline", *command[1:]] if command[0] == "wattline" else list(command)


def _charliecloud(path: str, command: Sequence[str], root: str, binds: tuple[str, ...], gpus: bool) -> Wrapping:
    mounts = [words([root]), *map(expanded, binds)]
    lines = [
        f"image={expanded(path)}",
        'command -v ch-run > /dev/null || give_up "this node has no ch-run; load the module of Charliecloud"',
        '[ -d "$image/usr" ] || give_up "there is no unpacked image at $image; run: wattline stage-in"',
        "# A read-only image needs a folder wherever something is mounted.",
        f"for mount in {' '.join(mounts)}; do",
        '    mkdir -p "$image$mount" 2> /dev/null || [ -d "$image$mount" ] ||',
        '        give_up "$image has no folder $mount and cannot be written to; create the folder in it"',
        "done",
        *(['ch-fromhost --nvidia "$image" || give_up "the GPU drivers do not enter $image"'] if gpus else []),
        "# ch-run wants to know who we are, and takes the environment of the host into the image.",
        'USER="${USER:-$(id -un)}"',
        "export USER CH_IMAGE_CACHE=disabled",
    ]
    options = " ".join(f"--bind={mount}" for mount in mounts)
    inside = f"--set-env=PATH={IN_IMAGE} --set-env=PYTHONPATH={with_sources(Path(root, 'src'))}"
    start = f"ch-run --env-no-expand --cd={words([root])} {options} {inside}"
    return Wrapping(tuple(lines), f'{start} "$image" -- {words(_in_image(command))}')


def _apptainer(path: str, command: Sequence[str], root: str, binds: tuple[str, ...], gpus: bool) -> Wrapping:
    mounts, sources = [words([root]), *map(expanded, binds)], with_sources(Path(root, "src"))
    lines = (
        f"image={expanded(path)}",
        'command -v apptainer > /dev/null || give_up "this node has no apptainer; load its module"',
        '[ -r "$image" ] || give_up "there is no image at $image; run: wattline stage-in"',
        f"export APPTAINERENV_PREPEND_PATH={IN_IMAGE.partition(':')[0]} APPTAINERENV_PYTHONPATH={sources}",
    )
    options = " ".join(f"--bind={mount}" for mount in mounts)
    start = f"apptainer exec {'--nv ' if gpus else ''}--no-home --pwd={words([root])} {options}"
    return Wrapping(lines, f'{start} "$image" {words(_in_image(command))}')


def with_sources(folder: Path) -> str:
    """PYTHONPATH, as shell, with the project's sources before what the profile names."""
    return words([str(folder)]) + '"${PYTHONPATH:+:$PYTHONPATH}"'


FOLDERS: dict[str, Callable[[str], tuple[str, ...]]] = {"venv": _venv, "conda": _conda}
CONTAINERS: dict[str, Callable[[str, Sequence[str], str, tuple[str, ...], bool], Wrapping]] = {
    "charliecloud": _charliecloud,
    "apptainer": _apptainer,
}
