"""What a worker's job does before Dask: modules, variables, the Python of the profile."""

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import wattline
from wattline.errors import InputError
from wattline.settings import settings
from wattline.sites import EnvironmentProfile, Profile

IN_IMAGE = "/opt/wattline/bin:/usr/local/bin:/usr/bin:/bin"
"""PATH in an image of docker/train.Dockerfile: Charliecloud does not know the one that the image names."""


def python(environment: EnvironmentProfile) -> str:
    """Words of a shell that begin a Python in the environment. Project and state folder are there at the same path.

    Raises InputError where the profile names no path for it.
    """
    if environment.kind == "none":
        return shlex.quote(sys.executable)
    if not environment.path:
        raise InputError(f"environment.path is empty; name the folder or image that kind {environment.kind} runs in")
    root, path = shlex.quote(str(Path.cwd())), expandable(environment.path)
    seen = dict.fromkeys([root, shlex.quote(str(settings().state.resolve()))])
    binds = " ".join(f"--bind={folder}:{folder}" for folder in seen)
    return {
        "venv": f"{path}/bin/python",
        "conda": f"{path}/bin/python",
        "charliecloud": f"ch-run --set-env=PATH={IN_IMAGE} {binds} --cd={root} {path} -- python3",
        "apptainer": f"apptainer exec {binds} --pwd={root} {path} python3",
    }[environment.kind]


def prologue(profile: Profile, variables: Mapping[str, str]) -> list[str]:
    """Lines of the script.

    variables: further ones, set in the job
    """
    modules = ["module purge", *(f"module load {shlex.quote(name)}" for name in profile.modules)]
    scratch = {"TMPDIR": profile.scratch} if profile.scratch else {}
    values = {**variables, **scratch, **_sources(), **profile.variables}
    return [
        f"cd {shlex.quote(str(Path.cwd()))} || exit 1",
        *(modules if profile.modules else []),
        *(f"export {name}={expandable(value)}" for name, value in values.items()),
    ]


def _sources() -> dict[str, str]:
    """Where Wattline is imported from, if that is the project itself and not an installation."""
    folder = Path(wattline.__file__).parents[1]
    return {"PYTHONPATH": str(folder)} if folder.is_relative_to(Path.cwd()) else {}


def expandable(text: str) -> str:
    """`text` as one word of a shell in which variables like $HOME or ${SCRATCH} are filled in, and nothing is run."""
    parts = re.split(r"(\$\w+|\$\{\w+\})", text)
    return "".join(f'"{part}"' if index % 2 else shlex.quote(part) for index, part in enumerate(parts) if part) or "''"
