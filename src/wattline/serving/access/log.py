"""The log of refused operations: one JSON line each, never a secret, never a flood."""

import json
import logging
import re
from collections.abc import Callable

LOGGER = logging.getLogger("wattline.serving.access")
LINES_PER_SECOND = 20
LONGEST_VALUE = 200

SECRET = re.compile(r"wl_[a-z0-9.-]+_[\w-]+|\beyJ[\w.-]*|[\w-]{40,}", re.ASCII)
"""What looks like an API key, a token or a long random string. No field needs one, and a path may hold a pasted one."""


def line(event: str, **fields: str | int) -> str:
    """One line of JSON. ASCII only: what a caller sends must not move the cursor of whoever reads the log."""
    return json.dumps({"event": event, **fields})


class AccessLog:
    """Writes at most `LINES_PER_SECOND` refusals a second, counts the others, and says how many there were.

    clock: seconds, monotonic
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._lines = 0
        self._unsaid = 0

    def admits(self) -> bool:
        """Whether there is room for one more line in this second; if not, the refusal is counted."""
        now = self._clock()
        if now - self._began >= 1:
            self._began, self._lines = now, 0
            self.settle()
        if self._lines >= LINES_PER_SECOND:
            self._unsaid += 1
            return False
        self._lines += 1
        return True

    def refused(self, **fields: str) -> None:
        """Write one refusal, without the fields that are empty. Ask `admits` first."""
        shown = {name: SECRET.sub("[removed]", value)[:LONGEST_VALUE] for name, value in fields.items() if value}
        LOGGER.warning("%s", line("refused", **shown))

    def settle(self) -> None:
        """Say how many refusals were only counted since the last time."""
        if self._unsaid:
            LOGGER.warning("%s", line("refused, not written", count=self._unsaid))
        self._unsaid = 0
