"""What the jobs of each kind of pipeline need."""

from collections.abc import Mapping
from typing import Literal, get_args

from wattline.errors import InputError
from wattline.settings import Settings

Kind = Literal["merge-request", "fork", "trial", "branch", "release", "monitor", "nightly", "none"]
"""branch: the protected default one, also by web and retrain; trial: any other branch; none: no job at all"""
Need = Literal[
    "api", "tracking", "tracking works", "ledger", "ledger works", "data works", "registry", "builder", "key",
    "history", "train runner", "data runner", "deploy runner", "protected", "clock", "disk", "params", "fork", "vault",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

_DATA: frozenset[Need] = frozenset(
    {"params", "history", "data works", "tracking works", "disk", "clock", "data runner"}
)
_SIGNED: frozenset[Need] = frozenset({"params", "tracking", "tracking works", "ledger", "ledger works", "key"})
NEEDS: Mapping[Kind, frozenset[Need]] = {
    # Not what `note` and `lock` alone need: they say so themselves, after the verdict.
    "merge-request": _DATA | {"train runner", "ledger works"},
    "fork": _DATA | {"fork"},
    "trial": _DATA | {"train runner"},
    "branch": _DATA | _SIGNED | {"train runner", "registry", "builder", "deploy runner", "protected", "vault"},
    "release": _SIGNED | {"protected", "clock", "vault"},
    "monitor": frozenset({"params", "tracking", "tracking works", "api", "clock", "vault"}),
    "nightly": _DATA | {"tracking", "vault"},
    "none": frozenset(),
}
"""`X works`: it may be absent, but what is set must work."""


def kind_of(known: Settings) -> Kind:
    """Which kind of pipeline this job belongs to. Raises InputError for a PIPELINE_KIND that nobody knows."""
    if not known.ci:
        return "none"
    if known.from_fork:
        return "fork"
    found = known.pipeline_kind or _by_source(known)
    if found == "schedule":
        return _scheduled(known.schedule)
    if found in ("branch", "web", "retrain"):
        # As in ci/base.yml: nothing is registered from a ref that anybody may push to.
        registers = known.ci_commit_ref_protected and known.ci_commit_branch == known.ci_default_branch
        return "branch" if registers else "trial"
    return named(found, variable="PIPELINE_KIND")


def named(text: str, *, variable: str) -> Kind:
    """The kind of that name. Raises InputError naming `variable`."""
    for kind in KINDS:
        if kind == text:
            return kind
    raise InputError(f"{variable} is {text!r}, which no pipeline is; known: {', '.join(KINDS)}")


def _scheduled(what: str) -> Kind:
    if what in ("monitor", "nightly"):
        return named(what, variable="WATTLINE_SCHEDULE")
    raise InputError(
        f"WATTLINE_SCHEDULE is {what!r}, so nothing but this job runs; set it to monitor or nightly under "
        "Build > Pipeline schedules"
    )


def _by_source(known: Settings) -> str:
    if known.ci_pipeline_source == "schedule":
        return "schedule"
    if known.ci_merge_request_iid:
        return "merge-request"
    if known.ci_commit_tag:
        return "release"
    return "web"  # judged by its branch
