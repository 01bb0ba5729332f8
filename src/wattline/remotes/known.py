"""Which remote is meant: one of DVC's configuration, or the one that WATTLINE_DVC_REMOTE describes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from wattline.errors import InputError, WattlineError
from wattline.gitlab import dvc_remote
from wattline.settings import Settings


def config(known: Settings) -> Mapping[str, Any]:
    """What the environment adds to DVC's configuration, for this process alone."""
    return dvc_remote.wanted_config(known, default=None) if known.dvc_remote is not None else {}


def name(repo: Any, wanted: str | None) -> str:
    """The remote that is asked for, else the default one. Raises InputError where there is none."""
    found = wanted or repo.config["core"].get("remote")
    if not found:
        raise InputError(
            "no remote is configured; `dvc remote add --default NAME FOLDER-OR-s3://BUCKET/PATH`, or set "
            f"{dvc_remote.VARIABLE}"
        )
    if found not in repo.config["remote"]:
        known = ", ".join(repo.config["remote"]) or "none"
        raise InputError(f"there is no remote {found!r}; known: {known}; `dvc remote add` makes one")
    return str(found)


def check_verified(repo: Any, name: str) -> None:
    """Raise InputError where DVC would believe what the remote gives without a look at the bytes."""
    if repo.config["remote"][name].get("verify") is not True:
        raise InputError(
            f"remote {name!r} is not verified: DVC would take a truncated object from it without a word; run "
            f"`dvc remote modify {name} verify true`"
        )


@contextmanager
def answering(name: str) -> Iterator[None]:
    """Tell in one line when the remote of that name fails on the way. Raises WattlineError."""
    try:
        yield
    except (WattlineError, OSError):
        raise
    except Exception as error:
        # Each kind of remote has exceptions of its own, and DVC wraps some of them.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WattlineError(
            f"remote {name!r} did not take everything: {reason}; what arrived stays, so run this again"
        ) from None
