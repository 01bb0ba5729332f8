"""Who asks, and whether they may: keys, tokens, roles and rates behind one gate."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from wattline.params.serving import AuthParams
from wattline.serving.access.exposure import check_exposure
from wattline.serving.access.keyring import Keyring, claimed_identifier
from wattline.serving.access.keys import PREFIX
from wattline.serving.access.log import LOGGER, AccessLog, line
from wattline.serving.access.rate import Rate
from wattline.serving.access.tokens import Tokens, claimed_subject, unauthenticated
from wattline.serving.call import ANYONE, Principal
from wattline.serving.refusal import RefusedError

__all__ = ["Gatekeeper", "check_exposure"]

POLL_SECONDS = 1.0
LONGEST_WAIT = 86400


class Gatekeeper:
    """Asked for every request before its body is read. Waits for nothing: files and the issuer are read beside it.

    Raises InputError when the keys file or the issuer of `params` cannot be used.
    """

    def __init__(
        self,
        params: AuthParams,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """now: seconds since 1970, for the times in tokens. clock: seconds, monotonic, for everything else"""
        self._keyring = Keyring(Path(params.keys_file)) if params.mode in ("keys", "both") else None
        self._tokens = Tokens(params, now=now, clock=clock) if params.mode in ("jwt", "both") else None
        self._open = params.mode == "none"
        self._rate = Rate(params.rate_per_second, params.burst, clock=clock)
        self._log = AccessLog(clock=clock)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fetch the issuer's keys, and from now on notice when they or the keys file change."""
        if self._tokens is not None:
            await self._tokens.issuer.start()
        self._task = asyncio.create_task(self._tend())

    async def stop(self) -> None:
        """End what `start` began. Safe to call more than once."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._tokens is not None:
            await self._tokens.issuer.stop()
        self._log.settle()

    def principal(self, headers: Mapping[str, str], *, what: str = "", peer: str = "") -> Principal:
        """Who asks.

        headers: names in lower case
        what, peer: method and path, and address of the caller, for the log of a refusal
        Raises RefusedError: 401, or 503 while the key of a token is being fetched.
        """
        if self._open:
            return ANYONE
        try:
            return self._identified(_credential(headers))
        except RefusedError as error:
            self._refused(error, headers, what=what, peer=peer)
            raise

    def demand(self, principal: Principal, role: str, *, what: str, peer: str) -> None:
        """Raises RefusedError 403 unless `principal` has `role`."""
        if role in principal.roles:
            return
        refused = RefusedError(f"{principal.name} lacks the role {role}; ask for it", status=403, reason="forbidden")
        if self._log.admits():
            self._log.refused(who=principal.name, what=what, role=role, peer=peer, reason=refused.reason)
        raise refused

    def spend(self, principal: Principal, *, what: str = "", peer: str = "") -> None:
        """Count one request of `principal`. Raises RefusedError 429 when there were too many."""
        seconds = self._rate.spend(principal.name)
        if not seconds:
            return
        wait = str(max(1, math.ceil(min(seconds, LONGEST_WAIT))))
        message = f"{principal.name} asks too often; ask again in {wait} s"
        if self._log.admits():
            self._log.refused(who=principal.name, what=what, peer=peer, reason="rate")
        raise RefusedError(message, status=429, reason="rate", headers={"Retry-After": wait})

    def _identified(self, credential: str) -> Principal:
        if credential.startswith(PREFIX) or self._tokens is None:
            found = self._keyring.principal(credential) if self._keyring is not None else None
            if found is None:
                raise unauthenticated("this is no valid API key; ask the operator for one")
            return found
        return self._tokens.principal(credential)

    def _refused(self, error: RefusedError, headers: Mapping[str, str], *, what: str, peer: str) -> None:
        if not self._log.admits():
            return
        self._log.refused(
            who="unknown", unverified=_claimed(headers), what=what, peer=peer, reason=error.reason, why=str(error)
        )

    async def _tend(self) -> None:
        """Every second: look at the keys file, in a thread because a file system may hang; finish the log's second."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self._log.settle()
            if self._keyring is None:
                continue
            try:
                await asyncio.to_thread(self._keyring.reread)
            except Exception as error:  # the next look must take place, or no key could be revoked any more
                LOGGER.error("%s", line("keys file", why=f"the former keys stay valid: {type(error).__name__}"))


def _credential(headers: Mapping[str, str]) -> str:
    """The key or token in `headers`. Raises RefusedError 401 when there is none, or more than one."""
    authorization, key = headers.get("authorization"), headers.get("x-api-key")
    if authorization is None:
        if key:
            return key
    elif key is None:
        scheme, _, credential = authorization.partition(" ")
        if credential and scheme.lower() == "bearer":
            return credential
    else:
        raise unauthenticated("Authorization and X-API-Key were both sent; send one of them")
    raise RefusedError(
        "a key or a token is needed; send Authorization: Bearer ...",
        status=401,
        reason="unauthenticated",
        headers={"WWW-Authenticate": 'Bearer realm="wattline"'},
    )


def _claimed(headers: Mapping[str, str]) -> str:
    """Who the caller says they are. Nobody has verified it, and nothing secret is in it."""
    try:
        credential = _credential(headers)
    except RefusedError:
        return ""
    if credential.startswith(PREFIX):
        identifier = claimed_identifier(credential)
        return f"key {identifier}" if identifier else ""
    subject = claimed_subject(credential)
    return f"token subject {subject}" if subject else ""
