"""Vault's HTTP API as small as a login needs it: the JWT method, a KV engine of version 2, tokens with leases.

After the documentation and the source of hashicorp/vault, vault-plugin-auth-jwt and OpenBao. It really fetches the keys
of the JWT's issuer, and really verifies the signature with them.
"""

import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from gitlab.standin import serving

PROJECT = "energy/models"
KEYS = "/oauth/discovery/keys"
Json = dict[str, Any]


class RefusedError(Exception):
    def __init__(self, status: int, said: str = "") -> None:
        super().__init__(status)
        self.status, self.said = status, said


@dataclass
class Role:
    """Who may log in as it, and what it may read then."""

    audience: str = "https://gitlab.example.org"
    claims: dict[str, str] = field(default_factory=lambda: {"project_path": PROJECT, "ref_protected": "true"})
    reads: tuple[str, ...] = ("kv/data/wattline/",)
    seconds: int = 600


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A key pair of an issuer of JWTs."""
    return rsa.generate_private_key(65537, 2048)


def id_token(*, signer: str = "gitlab", **changed: Any) -> str:
    """What GitLab gives to a job on the protected default branch. A claim that is changed to None is left out."""
    now = int(time.time())
    said = {
        "iss": "https://gitlab.example.org", "aud": "https://gitlab.example.org", "iat": now, "nbf": now - 5,
        "exp": now + 300, "jti": secrets.token_hex(8), "sub": f"project_path:{PROJECT}:ref:main",
        "project_path": PROJECT, "ref": "main", "ref_type": "branch", "ref_protected": "true",
    }  # fmt: skip
    claims = {name: value for name, value in (said | changed).items() if value is not None}
    return jwt.encode(claims, key(signer), algorithm="RS256", headers={"kid": "gitlab"})


class State:
    """Everything a test may set before and read after.

    tokens: those that are valid -> when their lease ends, and which role they are of
    """

    def __init__(self) -> None:
        self.roles = {"wattline": Role()}
        self.secrets: dict[str, Json] = {}
        self.tokens: dict[str, tuple[float, Role]] = {}
        self.issued: list[str] = []
        self.revoked: list[str] = []
        self.calls: list[str] = []
        self.faults: list[int] = []
        self.sealed = False
        self.namespace: str | None = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: "Server"

    def do_any(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.path == KEYS:  # asked for while a login goes on
                status, body = 200, {"keys": [_public("gitlab")]}
            else:
                with self.server.lock:
                    status, body = self._answered(self.path.partition("?")[0], content)
        except RefusedError as refusal:
            status, body = refusal.status, {"errors": [refusal.said] if refusal.said else []}
        text = json.dumps(body).encode() if status != 204 else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 307:
            self.send_header("Location", "https://active.example.org")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_any  # noqa: N815

    def _answered(self, path: str, content: bytes) -> tuple[int, Json]:
        state = self.server.state
        state.calls.append(f"{self.command} {path}")
        if path == "/v1/sys/health":
            return (503 if state.sealed else 200), {"sealed": state.sealed, "initialized": True}
        if state.faults:
            raise RefusedError(state.faults.pop(0))
        if state.sealed:
            raise RefusedError(503, "Vault is sealed")
        if self.headers.get("X-Vault-Namespace") != state.namespace:
            raise RefusedError(403, "permission denied")
        if path == "/v1/auth/jwt/login" and self.command == "POST":
            return 200, self._login(json.loads(content))
        return self._with_token(path.removeprefix("/v1/"))

    def _login(self, body: Json) -> Json:
        role = self.server.state.roles.get(body.get("role", ""))
        if role is None:
            raise RefusedError(400, f'role "{body.get("role")}" could not be found')
        claims = self._verified(body.get("jwt", ""), role)
        for name, value in role.claims.items():
            if str(claims.get(name)) != value:
                said = f'error validating claims: claim "{name}" does not match any associated bound claim values'
                raise RefusedError(400, said)
        token = f"hvs.{secrets.token_urlsafe(24)}"
        self.server.state.tokens[token] = (time.monotonic() + role.seconds, role)
        self.server.state.issued.append(token)
        return {"auth": {"client_token": token, "lease_duration": role.seconds, "renewable": True}}

    def _verified(self, token: str, role: Role) -> Json:
        said = "error validating token: "
        keys = jwt.PyJWKClient(f"{self.server.issuer}{KEYS}")
        try:
            signer = keys.get_signing_key_from_jwt(token)
            return jwt.decode(token, signer.key, algorithms=["RS256"], audience=role.audience)
        except jwt.InvalidAudienceError:
            said += "invalid audience (aud) claim: audience claim does not match any bound audience"
        except jwt.ExpiredSignatureError:
            said += "invalid expiration time (exp) claim: token is expired"
        except jwt.PyJWTError:
            said += "error verifying token signature: no known key successfully validated the token signature"
        raise RefusedError(400, said)

    def _with_token(self, path: str) -> tuple[int, Json]:
        state, token = self.server.state, self.headers.get("X-Vault-Token", "")
        until, role = state.tokens.get(token, (0.0, None))
        if role is None or time.monotonic() > until:
            raise RefusedError(403, "permission denied")
        if path == "auth/token/revoke-self" and self.command == "POST":
            state.revoked.append(token)
            del state.tokens[token]
            return 204, {}
        if not any(path.startswith(one) for one in role.reads):
            raise RefusedError(403, "1 error occurred:\n\t* permission denied\n\n")
        if path not in state.secrets:
            raise RefusedError(404)
        return 200, {"data": {"data": state.secrets[path], "metadata": {"version": 3}}}

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """issuer: where the keys of GitLab's JWTs are; address: that of Vault"""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None, issuer: str | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state, self.lock = State(), threading.RLock()
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        self.issuer = issuer or self.address
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def running(*, tls: ssl.SSLContext | None = None, issuer: str | None = None) -> Iterator[Server]:
    """Serve until the block ends."""
    with Server(tls, issuer) as server, serving(server):
        yield server


def _public(name: str) -> Json:
    made: Json = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(key(name).public_key()))
    made.pop("key_ops", None)
    return made | {"kid": "gitlab", "alg": "RS256", "use": "sig"}
