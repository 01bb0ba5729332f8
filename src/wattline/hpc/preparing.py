"""The part of a job's script that every scheduler shares: modules, variables, temporary files, how it ends."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wattline.errors import InputError
from wattline.hpc.environments import Wrapping, wrapped
from wattline.hpc.quoting import commented, expanded, words
from wattline.hpc.scheduler import Order
from wattline.params import ResourcesParams
from wattline.settings import settings
from wattline.sites import Profile, rules

LOCAL_FOLDERS = ("/tmp", "/dev/shm", "/run")  # noqa: S108  # names, nothing is written there


def heading(order: Order, scheduler: str) -> list[str]:
    """The first lines, for who reads the script."""
    return [
        "#!/bin/bash -l",
        f"# Stage `{order.stage}` as a job of {scheduler}. Site: {commented(order.profile.description)}.",
        "# Written by Wattline: what should change belongs into deploy/sites/ or into `hpc` of params.yaml.",
        "# A login shell, since `module`, $WORK and the like come from there; nothing of who submits is passed on.",
    ]


def resources(order: Order) -> ResourcesParams:
    """What the stage asks for, and where it leaves something open, what the site gives."""
    return filled(order.resources, order.profile.resources)


def filled(wanted: ResourcesParams, given: ResourcesParams) -> ResourcesParams:
    """`wanted`, with what is null taken from `given`."""
    chosen = {name: value for name, value in wanted.model_dump().items() if value is not None}
    return ResourcesParams(**{**given.model_dump(), **chosen})


def check_notice(order: Order, wanted: ResourcesParams) -> None:
    """Raise InputError where the notice of the time limit would come as soon as the stage begins."""
    if wanted.minutes is not None and order.params.notice_seconds >= wanted.minutes * 60:
        raise InputError(
            f"hpc.notice_seconds is {order.params.notice_seconds} s, but stage {order.stage} has a time limit of "
            f"{wanted.minutes} min: every attempt would end at once; raise hpc.stages.{order.stage}.minutes, or lower "
            "the notice"
        )


def opening(order: Order, *, exit_code: str) -> list[str]:
    """What the script does first, so that it ends in order whatever happens later.

    exit_code: where the code goes, as shell
    """
    return [
        "",
        "set -u",
        f"exit_code={exit_code}",
        f'copy="{order.token}.${{SLURM_RESTART_COUNT:-0}}"'
        "  # where a node's daemon died, an old one may live on beside a new one",
        "told=''   # whether this script was told to end: by scancel, a preemption or the time limit",
        "again=''  # whether the job begins again",
        "private=''  # a folder that is removed in the end; what a login shell calls by that name is somebody else's",
        "trap 'told=yes' TERM",
        "",
        "# The exit code appears at once, and only when the job is over: who was told to end may begin again, and a",
        "# copy that lives on does not speak for the one that began after it.",
        "leave() {",
        "    local code=$?",
        '    [ -z "$private" ] || rm -rf "$private"',
        '    if [ -z "$told$again" ] && [ "$(cat "$exit_code.copy")" = "$copy" ]; then',
        '        echo "$code" > "$exit_code.part" && mv -f "$exit_code.part" "$exit_code"',
        "    fi",
        "}",
        "trap leave EXIT",
        'rm -f "$exit_code"',
        'echo "$copy" > "$exit_code.copy"',
        "",
        "give_up() {",
        '    echo "wattline: $1" >&2',
        "    exit 2",
        "}",
    ]


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


def variables(order: Order, cpus: int) -> Iterator[str]:
    """Everything the job is told, by name. No secrets: the script is a file."""
    yield from ("", f"cd {words([str(order.root.absolute())])} || give_up 'the project is not there on this node'")
    for name, value in _own(order, cpus).items():
        yield f"export {name}={words([value])}"
    for name, value in order.profile.variables.items():
        yield f"export {name}={expanded(value)}"
    for name, value in order.variables.items():
        yield f"export {name}={words([value])}"


def _own(order: Order, cpus: int) -> Mapping[str, str]:
    known, profile = settings(), order.profile
    found = {"WATTLINE_STATE": str(order.root.absolute() / known.state), "OMP_NUM_THREADS": str(cpus)}
    # The stage runs here, in the job; its workers are those of the site.
    found["WATTLINE_SITE"] = order.site
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
    """A private folder for temporary files. job: number of the job and its attempt, as shell"""
    if not profile.scratch:
        return
    yield from (
        "",
        f'private={expanded(profile.scratch)}"/wattline-$(id -u)-{job}"',
        '{ mkdir -p "$private" && chmod 700 "$private"; } || give_up "scratch of the profile: cannot create $private"',
        'export TMPDIR="$private"',
    )


def environment(order: Order, *, gpus: bool) -> Wrapping:
    """The stage's command in the site's environment."""
    return wrapped(
        order.profile.environment,
        order.command,
        root=order.root.absolute(),
        binds=tuple(_outside(order)),
        gpus=gpus,
    )


def _outside(order: Order) -> Iterator[str]:
    """Folders that the job needs and that do not lie in the project."""
    root, known = order.root.absolute(), settings()
    for folder in (root / known.state, known.data_mirror):
        if folder is not None and not folder.absolute().is_relative_to(root):
            yield str(folder.absolute())
    if order.profile.scratch and not order.profile.scratch.startswith(LOCAL_FOLDERS):
        yield order.profile.scratch


def folder(order: Order) -> Path:
    """Where script, log and exit code lie, as an absolute path."""
    return order.root.absolute() / order.folder


def started(command: str, *, first: Sequence[str] = ()) -> str:
    """`command` as the launcher starts it on each node, after `first`.

    The notice of the time limit would kill a program that does not know of it: so it is ignored until a training
    listens.
    """
    own = " && ".join(['trap "" USR1', *first, 'exec "$@"'])
    return f"bash -c '{own}' job \\\n    {command}"
