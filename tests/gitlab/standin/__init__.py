"""GitLab's API as small as the tests need it: the routes that a pipeline calls, GitLab's limits, its tokens and roles.

After GitLab's own documentation and source. A call to a route that is not here is answered with 404 and recorded in
`state.unmounted`. `python -m gitlab.standin --port 0 --state FILE` serves as a program of its own.
"""

from gitlab.standin.calls import Fault, Json, RefusedError
from gitlab.standin.server import Server, running, serving
from gitlab.standin.state import PROJECT, State
from gitlab.standin.tokens import API, GUEST, JOB, MAINTAINER, READER, REPORTER, TRIGGER, Token

__all__ = [
    "API",
    "GUEST",
    "JOB",
    "MAINTAINER",
    "PROJECT",
    "READER",
    "REPORTER",
    "TRIGGER",
    "Fault",
    "Json",
    "RefusedError",
    "Server",
    "State",
    "Token",
    "running",
    "serving",
]
