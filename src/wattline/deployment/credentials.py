"""Who may push and pull: credentials from the environment, in a file that programs read and that vanishes again."""

import base64
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from wattline.deployment.reference import Repository
from wattline.errors import InputError
from wattline.settings import Settings


@dataclass(frozen=True)
class Credentials:
    """Name and password for one registry."""

    user: str
    password: SecretStr

    def encoded(self) -> str:
        """Both as HTTP's Basic scheme and the programs' files have them."""
        return base64.b64encode(f"{self.user}:{self.password.get_secret_value()}".encode()).decode()


def of(repository: Repository, known: Settings) -> Credentials | None:
    """Credentials for `repository`; None where none are set. GitLab's own go to GitLab's registry and nowhere else.

    Raises InputError where only one half is set.
    """
    if bool(known.registry_user) != bool(known.registry_password):
        absent = "WATTLINE_REGISTRY_PASSWORD" if known.registry_user else "WATTLINE_REGISTRY_USER"
        raise InputError(f"{absent} is not set, but its other half is; set both, or neither")
    if known.registry_user and known.registry_password:
        return Credentials(known.registry_user, known.registry_password)
    if known.ci_registry_user and known.ci_registry_password and known.ci_registry == repository.host:
        return Credentials(known.ci_registry_user, known.ci_registry_password)
    return None


@contextmanager
def environment(repository: Repository, known: Settings) -> Iterator[Mapping[str, str]]:
    """Variables by which podman, buildah, skopeo and docker find the credentials of `repository`, for a while.

    The file lies outside the checkout in a folder of its own (mode 0700), is for its owner's eyes only (0600), and is
    removed again. Without credentials there is none, and the programs use what the user of the runner has.
    """
    found = of(repository, known)
    if found is None:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="wattline-registry-") as folder:
        path = Path(folder) / "config.json"
        content = json.dumps({"auths": {repository.host: {"auth": found.encoded()}}}).encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        yield {"REGISTRY_AUTH_FILE": str(path), "DOCKER_CONFIG": folder}
