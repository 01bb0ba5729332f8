"""What the JWT of a job says of it. Read without trust: only Vault verifies it; we see early what it would refuse."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from wattline.errors import InputError

VARIABLE = "VAULT_ID_TOKEN"
REMEDY = "the job must have `id_tokens: {VAULT_ID_TOKEN: {aud: $WATTLINE_VAULT_AUDIENCE}}`"
SKEW_SECONDS = 30
"""Of clocks, allowed for."""


def read(token: SecretStr) -> Mapping[str, Any]:
    """The claims of a JWT. Raises InputError where it is none; no part of it is in the message."""
    parts = token.get_secret_value().strip().split(".")
    try:
        payload = parts[1] if len(parts) == 3 else ""
        found = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{VARIABLE} is no JWT; {REMEDY}")
    return found


def check(claims: Mapping[str, Any], *, now: float) -> None:
    """Raise InputError with what Vault would refuse this JWT for.

    now: seconds since 1970
    """
    if not claims.get("aud"):
        raise InputError(f"{VARIABLE} names no audience; {REMEDY}")
    ends, begins = claims.get("exp"), claims.get("nbf")
    if not isinstance(ends, int | float):
        raise InputError(f"{VARIABLE} says no time when it expires, so it is not GitLab's; {REMEDY}")
    if now > ends + SKEW_SECONDS:
        raise InputError(f"{VARIABLE} has expired at {_when(ends)}; log in when the job begins, or run it again")
    if isinstance(begins, int | float) and now < begins - SKEW_SECONDS:
        raise InputError(f"{VARIABLE} counts from {_when(begins)} on; the clock of this machine is behind GitLab's")
    if str(claims.get("ref_protected")).lower() != "true":
        raise InputError(
            f"{claims.get('ref_type', 'the ref')} {str(claims.get('ref', ''))[:200]!r} is not protected (ref_protected "
            "in the job's JWT), and Vault's secrets are for protected refs; protect it under Settings > Repository, or "
            "run this job on one that is"
        )


def _when(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "a time that no clock shows"
