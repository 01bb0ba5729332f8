"""A real registry for images on loopback: Debian's docker-registry, which asks for a name and a password."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from debian import Tools, install

USER, WATCHWORD = "pusher", "known to the pusher"
SECONDS = 60.0
KIND = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"


class ImageRegistry:
    """One that runs, and what it holds."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.client = httpx.Client(base_url=f"http://{host}/v2", auth=(USER, WATCHWORD), trust_env=False, timeout=30)

    def push(self, path: str, tag: str, labels: Mapping[str, str]) -> str:
        """Put an image without layers there, as a client would; its digest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": dict(labels)}}).encode()
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        place = self.client.post(f"/{path}/blobs/uploads/").raise_for_status().headers["location"]
        self.client.put(f"{place}&digest={digest}", content=config).raise_for_status()
        described = {"mediaType": CONFIG, "size": len(config), "digest": digest}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": KIND, "config": described, "layers": []}).encode()
        headers = {"Content-Type": KIND}
        self.client.put(f"/{path}/manifests/{tag}", content=manifest, headers=headers).raise_for_status()
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    def digest(self, path: str, tag: str) -> str | None:
        """What a tag names, by the registry's own word; None for nothing."""
        answer = self.client.head(f"/{path}/manifests/{tag}", headers={"Accept": KIND})
        return answer.headers["docker-content-digest"] if answer.status_code == 200 else None


@contextmanager
def image_registry(cache: Path, folder: Path) -> Iterator[ImageRegistry]:
    """Start one that keeps everything in `folder`. Without root or apt the tests are skipped, except in CI."""
    tools = Tools(cache / "tools" / "usr" / "bin")
    if not tools.has("docker-registry"):
        install(cache, "registry")
    folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = f"127.0.0.1:{listening.getsockname()[1]}"
    (folder / "users").write_text(f"{USER}:{_bcrypt(WATCHWORD)}\n")
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http: {{addr: '{host}'}}\nauth: {{htpasswd: {{realm: test, path: {folder / 'users'}}}}}\n"
    )
    command = [tools.path("docker-registry"), "serve", str(folder / "config.yml")]
    where = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=where)
    try:
        found = ImageRegistry(host)
        _await(found, process, folder / "log")
        yield found
        found.client.close()
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)


def _await(registry: ImageRegistry, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            if registry.client.get("/").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def _bcrypt(password: str) -> str:
    """What the registry compares passwords with. The module goes with Python 3.13, and warns of that."""
    code = "import crypt, sys; print(crypt.crypt(sys.stdin.read(), crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.strip()
