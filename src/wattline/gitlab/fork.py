"""A merge request from a fork is given no secret: what needs one says so and does nothing."""

from wattline.errors import InputError
from wattline.settings import settings


def refuse(verb: str) -> None:
    """Raise InputError where this job belongs to a merge request from a fork.

    verb: what was asked for, as it is typed
    """
    known = settings()
    if known.from_fork:
        raise InputError(
            f"`wattline {verb}` needs a secret, and the merge request of {known.ci_merge_request_source_project_path} "
            "comes from a fork, which is given none; it runs once the change is on a branch of "
            f"{known.ci_merge_request_project_path}"
        )
