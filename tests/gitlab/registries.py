"""Debian's docker-registry on the loopback: it asks for a password, or sends to a token server as GitLab's does."""

import base64
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from backends.processes import free_port, serving
from cryptography.hazmat.primitives import serialization
from debian import Tools, install

from gitlab import standin
from gitlab.authority import tls

USER = "gitlab-ci-token"
PASSWORD = secrets.token_hex(12)
CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {auth}
"""


@contextmanager
def basic(cache: Path, folder: Path) -> Iterator[str]:
    """One that knows USER and PASSWORD; its HOST:PORT."""
    folder.mkdir(parents=True)
    (folder / "users").write_text(f"{USER}:{_bcrypt(PASSWORD)}\n")
    with _serving(cache, folder, auth=f"{{htpasswd: {{realm: test, path: {folder}/users}}}}") as host:
        yield host


@contextmanager
def bearer(cache: Path, folder: Path, *, actions: tuple[str, ...] = ("pull", "push")) -> Iterator[str]:
    """One that takes tokens of a server that knows USER and PASSWORD, and lets them do `actions`."""
    tls(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder, actions)) as server, standin.serving(server):
        realm = f"http://127.0.0.1:{server.server_port}/jwt/auth"
        trusted = f"issuer: gitlab, rootcertbundle: {folder}/authority.pem"
        auth = f"{{token: {{realm: '{realm}', service: registry, {trusted}}}}}"
        with _serving(cache, folder, auth=auth) as host:
            yield host


@contextmanager
def _serving(cache: Path, folder: Path, *, auth: str) -> Iterator[str]:
    tools = Tools(cache / "tools" / "usr" / "bin")
    if not tools.has("docker-registry"):
        install(cache, "registry")
    port = free_port()
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port, auth=auth))
    command = [tools.path("docker-registry"), "serve", folder / "config.yml"]
    with serving(
        command, answers=lambda: _answers(port), log=folder / "log", environment={"OTEL_TRACES_EXPORTER": "none"}
    ):
        yield f"127.0.0.1:{port}"


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/", timeout=5, trust_env=False).status_code == 401
    except httpx.TransportError:
        return False


def _handler(folder: Path, actions: tuple[str, ...]) -> type[BaseHTTPRequestHandler]:
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    encoded = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b32encode(sha256(encoded).digest()[:30]).decode()
    kid = ":".join(digest[at : at + 4] for at in range(0, 48, 4))  # as libtrust names keys
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            known = self.headers.get("Authorization") == expected
            kind, name, _ = query.get("scope", ["repository::"])[0].split(":")
            now = int(time.time())
            claims = {"iss": "gitlab", "aud": "registry", "sub": USER, "iat": now, "nbf": now - 5, "exp": now + 60}
            claims |= {"jti": secrets.token_hex(8), "access": [{"type": kind, "name": name, "actions": list(actions)}]}
            token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})  # type: ignore[arg-type]
            content = json.dumps({"token": token} if known else {"errors": [{"code": "UNAUTHORIZED"}]}).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    return Handler


def _bcrypt(password: str) -> str:
    """What the registry compares passwords with. The module goes with Python 3.13, and warns of that."""
    code = "import crypt, sys; print(crypt.crypt(sys.stdin.read(), crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.strip()
