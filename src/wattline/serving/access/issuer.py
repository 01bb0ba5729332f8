"""The public keys of an OIDC issuer: fetched, bounded, kept fresh."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from wattline.errors import InputError
from wattline.serving.access.log import LOGGER, line

if TYPE_CHECKING:
    import httpx
    from jwt import PyJWK

FAMILIES = {("RSA", None): ("RS256", "PS256"), ("EC", "P-256"): ("ES256",), ("OKP", "Ed25519"): ("EdDSA",)}
"""(kty, crv) -> what such a key may verify. A key never serves an algorithm of another family."""

ALGORITHMS = tuple(name for names in FAMILIES.values() for name in names)
"""What a token may be signed with. Never "none", and nothing with a shared secret."""

PUBLIC = ("kty", "crv", "n", "e", "x", "y")
LARGEST_DOCUMENT = 262144
FETCH_SECONDS = 5.0
REST_SECONDS = 5.0
"""Between two fetches, however many tokens with unknown keys arrive [s]."""

STALE_SECONDS = 86400.0
"""Keys of an issuer that could not be asked for so long are dropped: one of them may have been withdrawn [s]."""

Keys = Mapping[tuple[str, str], "PyJWK"]
"""(kid, algorithm) -> key."""


class Issuer:
    """Fetches the issuer's keys at start, every `refresh_seconds`, and when a token names one that is not known.

    clock: seconds, monotonic
    changed: called when keys came or went
    """

    def __init__(
        self, url: str, *, refresh_seconds: float, clock: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._url = url
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._changed = changed
        self._keys: Keys = {}
        self._document = b""
        self._reached = self._tried = clock() - REST_SECONDS
        self._failed = True
        self._wanted = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None

    def key(self, kid: str, algorithm: str) -> "PyJWK | None":
        """The key that a token names, if the issuer has it and it may verify `algorithm`."""
        return self._keys.get((kid, algorithm))

    def want(self) -> bool:
        """Ask for a fetch, because a key is not known. Returns whether asking again later makes sense."""
        if self._clock() - self._tried >= REST_SECONDS:
            self._wanted.set()
        return self._wanted.is_set() or self._failed

    async def start(self) -> None:
        """Fetch the keys once, and again from time to time until `stop`. A failure is logged."""
        import httpx

        # Plain HTTP is to this machine itself: no certificate to check, and no proxy that the environment may name.
        remote = self._url.startswith("https:")
        identity = {"Accept-Encoding": "identity"}
        self._client = httpx.AsyncClient(
            verify=remote, trust_env=remote, timeout=FETCH_SECONDS, follow_redirects=False, headers=identity
        )
        await self._fetch()
        self._task = asyncio.create_task(self._keep_fresh())

    async def stop(self) -> None:
        """End fetching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._client is not None:
            await self._client.aclose()
        self._task = self._client = None

    async def _keep_fresh(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_seconds):
                    await self._wanted.wait()
            await self._fetch()

    async def _fetch(self) -> None:
        self._tried = self._clock()
        self._wanted.set()  # stays set until it is done, so that `want` knows of a fetch that is under way
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                document = await self._download()
            if document != self._document:
                self._replace(await asyncio.to_thread(parse, document), document)
            self._reached, self._failed = self._tried, False
        except Exception as error:  # whatever happens, the next attempt must take place
            self._failed = True
            if self._clock() - self._reached > STALE_SECONDS:
                self._replace({}, b"")
            why = f"{type(error).__name__}: {error}"[:300]
            LOGGER.error("%s", line("issuer", why=f"its keys could not be fetched, {len(self._keys)} are known: {why}"))
        finally:
            self._wanted.clear()

    def _replace(self, keys: Keys, document: bytes) -> None:
        self._keys, self._document = keys, document
        self._changed()

    async def _download(self) -> bytes:
        assert self._client is not None
        content = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != 200:
                # A redirect too: whoever can make the issuer redirect must not choose whose keys are trusted.
                raise InputError(
                    f"serving.auth.jwks_url answers {response.status_code}, not 200; write its final address"
                )
            if response.headers.get("content-encoding", "identity") != "identity":
                raise InputError("serving.auth.jwks_url answers compressed, though it was asked not to")
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > LARGEST_DOCUMENT:
                    raise InputError(f"serving.auth.jwks_url answers more than {LARGEST_DOCUMENT} bytes")
        return bytes(content)


def parse(document: bytes) -> Keys:
    """The keys of a JWK Set that may verify tokens; those for other purposes or of other kinds are left out.

    Raises InputError when it is none, or when two keys could be meant by one name.
    """
    try:
        listed = orjson.loads(document)["keys"]
        members = [one for one in listed if isinstance(one, dict)]
    except (ValueError, TypeError, KeyError):
        raise InputError("serving.auth.jwks_url answers no JWK Set") from None
    keys: dict[tuple[str, str], PyJWK] = {}
    for member in members:
        for algorithm, key in _usable(member):
            name = (member["kid"], algorithm)
            if name in keys:
                raise InputError(f"serving.auth.jwks_url has two keys with the kid {member['kid']!r:.80}")
            keys[name] = key
    return keys


def _usable(member: dict[str, Any]) -> list[tuple[str, "PyJWK"]]:
    """What one JWK verifies: (algorithm, key) for each."""
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    kind, curve, identifier = (member.get(name) for name in ("kty", "crv", "kid"))
    for_signatures = member.get("use", "sig") == "sig" and "verify" in list(member.get("key_ops", ["verify"]))
    if not isinstance(identifier, str) or not for_signatures:
        return []
    family = next((names for kinds, names in FAMILIES.items() if kinds == (kind, curve)), ())
    public = {name: member[name] for name in PUBLIC if name in member}
    try:
        keys = [(one, PyJWK(public, one)) for one in family if member.get("alg", one) == one]
    except (PyJWTError, ValueError, TypeError):
        return []
    return [(one, key) for one, key in keys if key.Algorithm.check_key_length(key.key) is None]
