"""An OIDC issuer for tests: real keys, real tokens, its JWK Set over HTTP on loopback."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from wattline.params.serving import AuthParams

NOW = 1_800_000_000.0
ISSUER = "https://issuer.example/realms/plant"
KINDS = {"RS256": "rsa", "PS256": "rsa", "ES256": "ec", "EdDSA": "ed"}


class Clock:
    """A clock that a test moves."""

    def __init__(self, value: float = NOW) -> None:
        self.value = value

    def __call__(self) -> float:
        return self.value


def private_key(kind: str, number: int = 0) -> Any:
    """A key pair; another one for each number."""
    return _pair(kind, number)


@cache
def _pair(kind: str, number: int) -> Any:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "weak":
        return rsa.generate_private_key(65537, 1024)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()


def public_pem(kind: str) -> bytes:
    return (
        private_key(kind)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def jwk(kind: str, kid: str, *, number: int = 0, **members: Any) -> dict[str, Any]:
    """The public half as a member of a JWK Set."""
    algorithm = {"rsa": "RS256", "weak": "RS256", "ec": "ES256", "ed": "EdDSA"}[kind]
    public = private_key(kind, number).public_key()
    made = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(public))
    made.pop("key_ops", None)
    return {**made, "kid": kid, **members}


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says. A claim that is changed to None is left out."""
    good = {"iss": ISSUER, "aud": "wattline", "sub": "alice", "exp": NOW + 600, "iat": NOW, "roles": ["predict"]}
    return {name: value for name, value in (good | changed).items() if value is not None}


def token(algorithm: str = "EdDSA", *, kid: Any = None, number: int = 0, header: Any = None, **changed: Any) -> str:
    """A signed token. Its kid is the kind of its key unless it is told otherwise."""
    kind = KINDS[algorithm]
    named = {"kid": kid or kind, **(header or {})}
    return jwt.encode(claims(**changed), private_key(kind, number), algorithm=algorithm, headers=named)


def encoded(value: Any) -> str:
    """Base64url of JSON, or of bytes."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class FakeIssuer:
    """What the server below answers. A test changes it at will.

    hits: requests so far
    hold: where it is not set, answers wait for it
    """

    def __init__(self) -> None:
        self.keys: list[Any] = [jwk(kind, kind) for kind in ("rsa", "ec", "ed")]
        self.content: bytes | None = None
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.hits = 0
        self.hold = threading.Event()
        self.hold.set()
        self.url = ""

    def document(self) -> bytes:
        return json.dumps({"keys": self.keys}).encode() if self.content is None else self.content


@contextmanager
def issuer() -> Iterator[FakeIssuer]:
    """Run an issuer until the block ends."""
    fake = FakeIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.hits += 1
            fake.hold.wait()
            content = fake.document()
            self.send_response(fake.status)
            for name, value in {"Content-Length": str(len(content)), **fake.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def handle(self) -> None:
            with suppress(ConnectionError):  # a caller who leaves early is part of some tests
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}/certs"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


def params(**changed: Any) -> AuthParams:
    """The section `serving.auth` with tokens of ISSUER switched on."""
    values = {
        "mode": "jwt",
        "keys_file": "",
        "issuer": ISSUER,
        "audience": "wattline",
        "jwks_url": "https://issuer.example/certs",
        "roles_claim": "roles",
        "leeway_seconds": 30.0,
        "refresh_seconds": 300.0,
        "rate_per_second": 0.0,
        "burst": 10,
    }
    return AuthParams.model_validate(values | changed)


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}
