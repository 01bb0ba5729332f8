"""What a job's script does before its command, as the profile says: modules, variables, scratch, environment."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wattline.settings import settings
from wattline.sites import rules
from wattline.sites.environments import Wrapping, wrapped
from wattline.sites.profile import Profile
from wattline.sites.quoting import expanded, words

LOCAL_FOLDERS = ("/tmp", "/dev/shm", "/run")  # noqa: S108  # names, nothing is written there

GIVE_UP = (
    "give_up() {",
    '    echo "wattline: $1" >&2',
    "    exit 2",
    "}",
)
"""What all the rest calls where something is missing on the node."""


def modules(profile: Profile) -> Iterator[str]:
    """Load them in order; one that is missing ends the job by a sentence."""
    if not profile.modules:
        return
    yield from (
        "",
        "# Modules; their scripts read variables that are not set.",
        'command -v module > /dev/null || give_up "this node has no command module, which the site\'s profile needs"',
        "set +u",
        "module purge",
    )
    for name in profile.modules:
        yield f"module load {words([name])} || give_up {words([f'module {name} cannot be loaded; see: module avail'])}"
    yield "set -u"


def variables(profile: Profile, root: Path, cpus: int, *, further: Mapping[str, str]) -> Iterator[str]:
    """Everything the job is told, by name. No secrets: the script is a file.

    root: the project, in which the job starts
    further: those of the job alone, taken as they are
    """
    yield from ("", f"cd {words([str(root)])} || give_up 'the project is not there on this node'")
    for name, value in _own(profile, root, cpus).items():
        yield f"export {name}={words([value])}"
    for name, value in profile.variables.items():
        yield f"export {name}={expanded(value)}"
    for name, value in further.items():
        yield f"export {name}={words([value])}"


def _own(profile: Profile, root: Path, cpus: int) -> Mapping[str, str]:
    known = settings()
    found = {"WATTLINE_STATE": str(root / known.state), "OMP_NUM_THREADS": str(cpus)}
    if known.data_mirror:
        found["WATTLINE_DATA_MIRROR"] = str(known.data_mirror.absolute())
    if profile.offline:
        found["WATTLINE_OFFLINE"] = "1"
    elif known.mlflow_tracking_uri and not rules.secret(known.mlflow_tracking_uri):
        found["MLFLOW_TRACKING_URI"] = known.mlflow_tracking_uri
    if profile.proxy:
        found |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), profile.proxy)
        found |= dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1")
    return {**found, "PYTHONUNBUFFERED": "1"}


def scratch(profile: Profile, job: str) -> Iterator[str]:
    """A private folder for temporary files, $private, which the script removes.

    job: number of the job and of its attempt, as shell
    """
    if not profile.scratch:
        return
    yield from (
        "",
        f'private={expanded(profile.scratch)}"/wattline-$(id -u)-{job}"',
        '{ mkdir -p "$private" && chmod 700 "$private"; } || give_up "scratch of the profile: cannot create $private"',
        'export TMPDIR="$private"',
    )


def environment(profile: Profile, root: Path, command: Sequence[str], *, gpus: bool = False) -> Wrapping:
    """`command` in the site's environment, where a container sees all that the job needs."""
    binds = tuple(_outside(profile, root))
    return wrapped(profile.environment, command, root=root, binds=binds, gpus=gpus)


def _outside(profile: Profile, root: Path) -> Iterator[str]:
    """Folders that the job needs and that do not lie in the project."""
    known = settings()
    for folder in (root / known.state, known.data_mirror):
        if folder is not None and not folder.absolute().is_relative_to(root):
            yield str(folder.absolute())
    if profile.scratch and not profile.scratch.startswith(LOCAL_FOLDERS):
        yield profile.scratch
