"""What a remote has of this project, byte by byte."""

from collections.abc import Sequence
from typing import Any

from wattline.errors import InputError, WattlineError
from wattline.objects import FOLDER
from wattline.verification import stored
from wattline.verification.hashes import Hashes
from wattline.verification.places import Local, Remote
from wattline.verification.tracked import Output, cache
from wattline.verification.verdict import Verdict
from wattline.verification.workspace import Entries


def place(repo: Any, name: str) -> Remote:
    """The objects of a remote. Raises InputError for one that is not configured, or keeps versions instead."""
    from dvc.exceptions import DvcException

    if name not in repo.config["remote"]:
        known = ", ".join(repo.config["remote"]) or "none"
        raise InputError(f"there is no remote {name!r}; known: {known}; `dvc remote add` makes one")
    try:
        return Remote(repo.cloud.get_remote_odb(name, "verify"), name=name)
    except DvcException as error:
        raise InputError(f"remote {name!r} cannot be used: {' '.join(str(error).split())[:200]}") from None


def belonging(outputs: Sequence[Output], name: str) -> list[Output]:
    """Those that belong into the remote of that name."""
    return [one for one in outputs if one.pushed and one.remote in (None, name)]


def verify(repo: Any, outputs: Sequence[Output], name: str) -> Verdict:
    """Read and hash every object that the remote should have of these outputs.

    Raises WattlineError where none of them can be read, which says more of the remote than of them.
    """
    remote, wanted = place(repo, name), {one.md5: str(one.path) for one in belonging(outputs, name)}
    known = _listings(repo, list(wanted))
    found = stored.look(remote, wanted, known=known, remedy=_remedy)
    unread = [problem for problem in found.problems if problem.cause]
    if unread and len(unread) == found.objects:
        raise WattlineError(
            f"remote {name!r} gave no object: {unread[0].cause}; look at its address and at the credentials "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL for s3://)"
        )
    return Verdict(outputs=len(wanted), objects=found.objects, bytes=remote.bytes, problems=found.problems)


def _listings(repo: Any, names: Sequence[str]) -> dict[str, Entries]:
    """What the cache here knows of folders, where the remote has lost the listing."""
    here = Local(cache(repo), Hashes())
    folders = [md5 for md5 in names if md5.endswith(FOLDER)]
    return {md5: stored.entries(here.content(md5)) for md5, found in here.digests(folders).items() if found == md5}


def _remedy(where: str, output: str, lost: bool) -> str:
    first = "" if lost else f"remove {where} and "
    return f"{first}run `wattline push` where {output} is whole"
