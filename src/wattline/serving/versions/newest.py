"""The newest version of an origin, loaded: once for each change, and from the last copy where the origin is down."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from wattline.serving.versions.loading import Loaded, LoadError
from wattline.serving.versions.origin import Origin

LOG = logging.getLogger("wattline.serving")
TRANSIENT = ("unreachable", "copy")
"""Reasons that go away without a change at the origin: what failed for one of them is tried again at every look."""
SUPERSEDED = ("unreachable", "stale")
"""Reasons for which a start takes the copy that served last: it is newer than what the origin has, or all there is."""


class Newest:
    """What an origin has. Calls block, and must not overlap."""

    def __init__(
        self,
        origin: Origin,
        load: Callable[[Path], Loaded],
        *,
        following: Callable[[Loaded], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """load: verifies and loads a copy; following: refuses what may not follow the version that was accepted last"""
        self._origin, self._load, self._following = origin, load, following
        self._tried: str | None = None
        self._failure: LoadError | None = None
        self._served = False

    def __call__(self) -> Loaded | None:
        """Load the newest version; None when it was loaded before.

        Before anything was loaded, and where the origin does not answer or has a former champion, that is the copy that
        served last.
        Raises LoadError, with the reason "unchanged" when the same files failed before.
        """
        try:
            found = self._origin.fingerprint()
            if found == self._tried:
                self._again()
                return None
            return self._new(found)
        except LoadError as error:
            copy = None if self._served or error.reason not in SUPERSEDED else self._origin.last()
            if copy is None:
                raise
            LOG.error("%s; the version that served last is loaded again", error)
            self._tried = None  # so that what was refused here is refused, and counted, at the next look
            return self._taken(copy)

    def _again(self) -> None:
        if self._failure is not None:
            raise LoadError(str(self._failure), reason="unchanged")

    def _new(self, fingerprint: str) -> Loaded:
        try:
            loaded = self._taken(self._origin.fetch())
        except LoadError as error:
            if error.reason not in TRANSIENT:
                self._tried, self._failure = fingerprint, error
            raise
        self._tried, self._failure = fingerprint, None
        return loaded

    def _taken(self, copy: Path) -> Loaded:
        try:
            loaded = self._load(copy)
        except LoadError:
            self._origin.discard(copy)
            raise
        with self._following(loaded):
            self._origin.accept(copy)
        self._served = True
        return loaded
