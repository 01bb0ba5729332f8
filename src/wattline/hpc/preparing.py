"""The part of a job's script that every scheduler shares: what it asks for, how it begins, how it ends."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from wattline.errors import InputError
from wattline.hpc.scheduler import Order
from wattline.params import ResourcesParams
from wattline.sites import prologue
from wattline.sites.environments import Wrapping
from wattline.sites.quoting import commented


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
        '    if [ -z "$told$again" ] && [ "$(< "$exit_code.copy")" = "$copy" ]; then',
        '        echo "$code" > "$exit_code.part" && mv -f "$exit_code.part" "$exit_code"',
        "    fi",
        "}",
        "trap leave EXIT",
        'rm -f "$exit_code"',
        'echo "$copy" > "$exit_code.copy"',
        "",
        *prologue.GIVE_UP,
    ]


def variables(order: Order, cpus: int) -> Iterator[str]:
    """Everything the job is told, by name. The stage runs in the job; its workers are those of the site."""
    further = {"WATTLINE_SITE": order.site, **order.variables}
    return prologue.variables(order.profile, order.root.absolute(), cpus, further=further)


def environment(order: Order, *, gpus: bool) -> Wrapping:
    """The stage's command in the site's environment."""
    return prologue.environment(order.profile, order.root.absolute(), order.command, gpus=gpus)


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
