"""Who acts: a person at this machine, or the CI job and who started it by hand."""

import os
import pwd

from wattline.errors import InputError
from wattline.settings import settings
from wattline.signing.entry import Actor

UNKNOWN = "unknown"
LONGEST = 200


def actor() -> Actor:
    """Who runs this process. In GitLab a job that somebody started by hand is that person's doing."""
    known = settings()
    if not known.ci:
        return Actor(name=_login(), kind="person")
    name = (known.gitlab_user_login or UNKNOWN)[:LONGEST]
    return Actor(name=name, kind="person" if known.ci_job_manual else "job", job=known.ci_job_url)


def person() -> Actor:
    """The person who runs this process. Raises InputError in a CI job that nobody started by hand."""
    found = actor()
    if found.kind == "job" or found.name == UNKNOWN:
        raise InputError(
            "an approval comes from a person, and nobody started this CI job by hand; make it a manual job "
            "(`when: manual`) in a protected environment, or run `wattline approve` yourself"
        )
    return found


def _login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may have users without a name
        return f"uid {os.getuid()}"
