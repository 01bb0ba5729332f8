"""The four calls to Vault's HTTP API, and what its refusals mean."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from wattline.errors import InputError, WattlineError
from wattline.gitlab.asking import TELLS, Answer, ask, is_safe, shown
from wattline.gitlab.vault.paths import Place
from wattline.settings import Settings

ATTEMPTS = 3
BACKOFF_SECONDS = 1.0
AGAIN = frozenset({429, 500, 502, 504})
SEALED = 503
REMEDIES = {
    "audience": "bound_audiences of the role must hold the `aud` of this job, which is $WATTLINE_VAULT_AUDIENCE",
    "expired": "log in when the job begins, or run it again",
    "claim": "bound_claims of role {role!r} are for another project or other refs; ask who runs Vault",
    "could not be found": "correct WATTLINE_VAULT_ROLE",
    "signature": "Vault must fetch this GitLab's keys: oidc_discovery_url or jwks_url of its JWT method",
}
"""What a refused login says, and what to do. Vault and OpenBao say it with the same words."""


@dataclass(frozen=True)
class Lent:
    """A token that Vault lends for a while.

    seconds: how long it lasts; 0 where it has no end
    """

    token: SecretStr
    seconds: int


class Vault:
    """A Vault or OpenBao at an address that a secret may be sent to. Its calls raise InputError or WattlineError."""

    def __init__(self, known: Settings) -> None:
        address = known.vault_address or ""
        if not is_safe(address):
            raise InputError(f"VAULT_ADDR is {shown(address)}, which is no HTTPS address; it would show secrets")
        self.place = shown(address)
        self._address = address.rstrip("/")
        self._known = known

    def login(self, jwt: SecretStr, role: str) -> Lent:
        """Exchange the job's JWT for a token."""
        path = self._known.vault_auth_path.strip("/")
        content = {"role": role, "jwt": jwt.get_secret_value().strip()}
        answer = self._asked("POST", f"auth/{quote(path)}/login", content=content)
        auth = answer.get("auth")
        if not answer.done or not isinstance(auth, dict) or not isinstance(auth.get("client_token"), str):
            raise self._refused(answer, f"log in as role {role!r} at auth/{path}", _login_remedy(answer, role))
        seconds = auth.get("lease_duration")
        return Lent(SecretStr(auth["client_token"]), seconds if isinstance(seconds, int) else 0)

    def read(self, lent: Lent, place: Place) -> Mapping[str, Any]:
        """The newest version of a secret of a KV engine of version 2."""
        answer = self._asked("GET", f"{quote(place.mount)}/data/{quote(place.path)}", token=lent.token)
        data = answer.get("data")
        values = data.get("data") if isinstance(data, dict) else None
        if answer.done and isinstance(values, dict):
            return values
        remedy = (
            f"write it with `vault kv put -mount={place.mount} {place.path} NAME=@FILE`, or set WATTLINE_VAULT_PATH"
        )
        if answer.status == 403:
            remedy = f"the policy of the role must allow `read` on {place.mount}/data/{place.path}"
        elif answer.done:
            remedy = f"{place.mount} must be a KV engine of version 2"
        raise self._refused(answer, f"read {place}", remedy)

    def revoke(self, token: SecretStr) -> None:
        """Give a token back. One that has expired is as good as given back."""
        answer = self._asked("POST", "auth/token/revoke-self", token=token)
        if not answer.done and answer.status not in (400, 403):
            raise self._refused(answer, "revoke this job's token", "it ends by itself when its lease does")

    def _asked(
        self, method: str, path: str, *, token: SecretStr | None = None, content: Mapping[str, str] | None = None
    ) -> Answer:
        headers = {"X-Vault-Request": "true"}
        if token is not None:
            headers["X-Vault-Token"] = token.get_secret_value()
        if self._known.vault_namespace:
            headers["X-Vault-Namespace"] = self._known.vault_namespace
        url, authority, answer = f"{self._address}/v1/{path}", self._known.vault_ca_file, Answer()
        for attempt in range(ATTEMPTS):
            time.sleep(BACKOFF_SECONDS * attempt)
            answer = ask(url, method=method, headers=headers, content=content, authority=authority)
            if not answer.trouble and answer.status not in AGAIN:
                break
            if answer.trouble in ("address", "authority", "certificate", "name", "tls"):
                break
        return answer

    def _refused(self, answer: Answer, what: str, remedy: str) -> WattlineError:
        if answer.trouble:
            vouch = "set VAULT_CACERT to a file with the certificate of who vouches for it"
            help_ = vouch if answer.trouble in ("certificate", "authority") else "check VAULT_ADDR and the way to it"
            return InputError(f"cannot {what}: {self.place} {TELLS[answer.trouble]}; {help_}")
        if answer.status == SEALED:
            return WattlineError(
                f"cannot {what}: {self.place} is sealed or down for maintenance (503); ask who runs it"
            )
        if 300 <= answer.status < 400:
            return InputError(
                f"cannot {what}: {self.place} sends us elsewhere ({answer.status}); set VAULT_ADDR to there"
            )
        said = f", {reason}" if (reason := _said(answer)) else ""
        return InputError(f"cannot {what}: {self.place} answers {answer.status}{said}; {remedy}")


def _said(answer: Answer) -> str:
    """Vault's first error, in one line."""
    errors = answer.get("errors")
    text = str(errors[0]) if isinstance(errors, list) and errors else ""
    return " ".join(text.split())[:200]


def _login_remedy(answer: Answer, role: str) -> str:
    said = _said(answer)
    remedy = next((remedy for word, remedy in REMEDIES.items() if word in said), "see docs/gitlab.md")
    if answer.status == 404 or (answer.status == 403 and "permission denied" in said):
        remedy = "no JWT method is mounted there, or it may not be asked: correct VAULT_AUTH_PATH or VAULT_NAMESPACE"
    return remedy.format(role=role)
