"""Bearer tokens (JWT) of an OIDC issuer: verified once, remembered until they expire."""

import base64
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from wattline.errors import InputError
from wattline.params.serving import AuthParams
from wattline.serving.access.exposure import is_loopback
from wattline.serving.access.issuer import ALGORITHMS, Issuer
from wattline.serving.access.keyring import NAMESPACE
from wattline.serving.access.keys import ROLES
from wattline.serving.call import Principal
from wattline.serving.refusal import RefusedError

if TYPE_CHECKING:
    from jwt import PyJWK

LONGEST_TOKEN = 8192
LONGEST_SUBJECT = 512
REMEMBERED = 8192
REQUIRED = ("iss", "aud", "exp", "sub")


class Tokens:
    """Says whose token it is. The issuer's keys are fetched between `issuer.start()` and `issuer.stop()`.

    now: seconds since 1970, what the times in tokens are compared with
    clock: seconds, monotonic
    """

    def __init__(self, params: AuthParams, *, now: Callable[[], float], clock: Callable[[], float]) -> None:
        """Raises InputError when tokens of the issuer that `params` describe could not be verified, or not safely."""
        _check(params)
        self._params = params
        self._now = now
        # By SHA-256, so that no token rests in memory: (until when it is accepted, whose it is).
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self.issuer = Issuer(
            params.jwks_url, refresh_seconds=params.refresh_seconds, clock=clock, changed=self._known.clear
        )

    def principal(self, token: str) -> Principal:
        """Whose token this is. Raises RefusedError 401, or 503 while its key is being fetched."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise unauthenticated(f"a token has at most {LONGEST_TOKEN} ASCII characters; send another")
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and self._now() < known[0]:
            self._known.move_to_end(digest)
            return known[1]
        until, principal = self._verified(token)
        self._known[digest] = until, principal
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return principal

    def _verified(self, token: str) -> tuple[float, Principal]:
        claims = self._signed(token, self._key(_part(token, 0)))
        if isinstance(claims, str):
            raise unauthenticated(claims)
        leeway = self._params.leeway_seconds
        fault = _fault(claims, self._now(), leeway)
        if fault:
            raise unauthenticated(fault)
        return claims["exp"] + leeway, Principal(claims["sub"], _roles(claims, self._params.roles_claim))

    def _key(self, header: Mapping[str, Any]) -> "PyJWK":
        """The key that a token names. What else its header says of keys (jku, jwk, x5u, x5c) is never looked at."""
        algorithm, identifier = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise unauthenticated(f"a token must be signed with one of {', '.join(ALGORITHMS)}; send another")
        if not isinstance(identifier, str):
            raise unauthenticated("a token must name its key in `kid`; send another")
        key = self.issuer.key(identifier, algorithm)
        if key is not None:
            return key
        if self.issuer.want():
            headers = {"Retry-After": "1"}
            raise RefusedError(
                "the issuer's keys are being fetched; ask again", status=503, reason="keys", headers=headers
            )
        raise unauthenticated("the issuer has no such key; send a token of the issuer that this server trusts")

    def _signed(self, token: str, key: "PyJWK") -> dict[str, Any] | str:
        """The claims of a token with a right signature, issuer and audience, or a sentence saying what is wrong."""
        import jwt

        try:
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._params.issuer,
                audience=self._params.audience,
                # The times are judged by `_fault`: PyJWT asks a clock of its own.
                options={"require": list(REQUIRED), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.MissingRequiredClaimError:
            return f"a token must have {', '.join(REQUIRED)}; send another"
        except jwt.InvalidIssuerError:
            return "the token is of another issuer; send one of the issuer that this server trusts"
        except jwt.InvalidAudienceError:
            return "the token is for another audience; ask the issuer for one for this server"
        except jwt.InvalidSignatureError:
            return "the token's signature is wrong; send another"
        except Exception:  # whatever a library says of a forged token may quote it, so nothing of that goes on
            return "the token is malformed; send another"


def _check(params: AuthParams) -> None:
    for name in ("issuer", "audience", "jwks_url", "roles_claim"):
        if not getattr(params, name):
            raise InputError(
                f"serving.auth.{name} is empty, but serving.auth.mode is {params.mode}; see docs/access.md"
            )
    try:
        parts = urlsplit(params.jwks_url)
        plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
        usable = bool(parts.hostname) and (parts.scheme == "https" or plain) and parts.port != 0
    except (ValueError, InputError):
        usable = False
    if not usable or parts.username is not None:
        # Over plain HTTP, whoever stands between could hand in keys of their own.
        raise InputError("serving.auth.jwks_url must be https://host/path without a password (http only on loopback)")


def unauthenticated(message: str) -> RefusedError:
    """The refusal of a caller who showed something that is not accepted."""
    headers = {"WWW-Authenticate": 'Bearer realm="wattline", error="invalid_token"'}
    return RefusedError(message, status=401, reason="unauthenticated", headers=headers)


def claimed_subject(token: str) -> str:
    """Who a token says it is of, which nobody has verified; nothing when it cannot be told."""
    subject = _part(token, 1).get("sub") if len(token) <= LONGEST_TOKEN else None
    return subject if isinstance(subject, str) else ""


def _part(token: str, index: int) -> Mapping[str, Any]:
    """Header (0) or claims (1) of a token, unverified; empty when they are no JSON object."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = orjson.loads(base64.urlsafe_b64decode(parts[index] + "=="))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _fault(claims: Mapping[str, Any], now: float, leeway: float) -> str:
    """What is wrong with the times and the subject of a signed token; nothing when they are right."""
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_instant(claims[name]):
            return f"`{name}` of the token must be a number of seconds; send another"
    if now >= claims["exp"] + leeway:
        return "the token has expired; ask the issuer for another"
    if now < max(claims.get("nbf", now), claims.get("iat", now)) - leeway:
        return "the token is not valid yet; send it later, or correct the clocks"
    subject = claims["sub"]
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable() or subject.startswith(NAMESPACE):
        return f"`sub` of the token must be 1 to {LONGEST_SUBJECT} printable characters and not begin with {NAMESPACE}"
    return ""


def _is_instant(value: Any) -> bool:
    """Whether this is a time in seconds that arithmetic can hold: neither true, nor "1", nor NaN, nor 10**400."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -(2.0**53) < value < 2.0**53


def _roles(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The roles that a token gives: a list, or words in one string. Those that this server does not know are left out.

    path: name of the claim, or names on the way to it, joined by dots
    """
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        found = found.split()
    return ROLES.intersection(one for one in found if isinstance(one, str)) if isinstance(found, list) else frozenset()
