"""Patience with a scheduler that does not answer for a while: its controller is restarted, or busy."""

import time
from collections.abc import Callable
from typing import TypeVar

from wattline.errors import UnreachableError
from wattline.interruption import Say
from wattline.params import HpcParams

FIRST_SECONDS = 0.5

Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], *, params: HpcParams, say: Say) -> Answer:
    """What `ask` gives, asked again while it raises UnreachableError, for `patience_seconds`. Then that is raised."""
    deadline, wait, told = time.monotonic() + params.patience_seconds, FIRST_SECONDS, False
    while True:
        try:
            answer = ask()
        except UnreachableError as error:
            if time.monotonic() >= deadline:
                raise UnreachableError(
                    f"{error}; gave up after {params.patience_seconds:g} s, and left what was submitted alone: "
                    "run the same command again when it answers"
                ) from None
            if not told:
                say(f"{error}; asking again for {params.patience_seconds:g} s")
            told = True
        else:
            if told:
                say("the scheduler answers again")
            return answer
        time.sleep(min(wait, max(0.0, deadline - time.monotonic())))
        wait = min(2 * wait, params.poll_seconds)
