"""What a container of an environment is started with: little, and all of it in its fingerprint."""

import hashlib
import socket
from pathlib import Path

from wattline.deployment.engine import FINGERPRINT
from wattline.deployment.reference import Reference
from wattline.errors import InputError
from wattline.params import DeploymentParams, EnvironmentParams

PORT = 8000
"""Where the image listens when nothing else is said."""
LOOPBACK = "127.0.0.1"
MEMORY = "/run/wattline"
"""Verified copies and the memory of who was champion: each container begins anew. Which image may follow which is
said by digest here, and a way back must not be refused by what the failed one remembered."""
DATA = "/var/lib/wattline"
SECRETS = "/run/secrets"
HARDENED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
TEMPORARY = "rw,nosuid,nodev,noexec,mode=1777"


def live(image: Reference, environment: EnvironmentParams, knobs: DeploymentParams) -> list[str]:
    """Arguments of the container that answers callers."""
    options = ["--restart=unless-stopped", f"--volume={environment.data}:{DATA}"]
    return _arguments(
        image,
        environment,
        knobs,
        name=environment.name,
        address=environment.address,
        port=environment.port,
        more=options,
    )


def trial(image: Reference, environment: EnvironmentParams, knobs: DeploymentParams, *, port: int) -> list[str]:
    """Arguments of the one that is tried beside it: on loopback, and with nothing that stays."""
    return _arguments(image, environment, knobs, name=trial_name(environment), address=LOOPBACK, port=port, more=[])


def trial_name(environment: EnvironmentParams) -> str:
    """Name of the container on trial."""
    return f"{environment.name}-trial"


def fingerprint(arguments: list[str]) -> str:
    """The label's value in `arguments`."""
    prefix = f"--label={FINGERPRINT}="
    return next(one.removeprefix(prefix) for one in arguments if one.startswith(prefix))


def url(environment: EnvironmentParams) -> str:
    """Where callers reach the environment."""
    return environment.url or local_url(environment)


def local_url(environment: EnvironmentParams) -> str:
    """Where this host reaches it: without a proxy."""
    everywhere = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104  # compared, not bound
    address = everywhere.get(environment.address, environment.address)
    return f"http://{f'[{address}]' if ':' in address else address}:{environment.port}"


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        return int(listening.getsockname()[1])


def _arguments(
    image: Reference,
    environment: EnvironmentParams,
    knobs: DeploymentParams,
    *,
    name: str,
    address: str,
    port: int,
    more: list[str],
) -> list[str]:
    options = [
        *HARDENED,
        f"--memory={environment.memory}",
        f"--stop-timeout={knobs.stop_seconds}",
        f"--tmpfs={MEMORY}:{TEMPORARY}",
        f"--env=WATTLINE_STATE={MEMORY}",
        *more,
    ]
    if environment.user:
        options.append(f"--user={environment.user}")
    if environment.keys_file:
        options.append(f"--volume={_keys(environment.keys_file).parent}:{SECRETS}:ro")
    if knobs.network == "host":
        options += ["--network=host", f"--health-cmd=python -I -S /app/healthcheck.py {port}"]
        command = [f"--host={address}", f"--port={port}"]
    else:
        published = f"[{address}]" if ":" in address else address
        options.append(f"--publish={published}:{port}:{PORT}")
        command = []
    mark = hashlib.sha256("\n".join([str(image), name, *options, *command]).encode()).hexdigest()
    return [f"--name={name}", f"--label={FINGERPRINT}={mark}", *options, str(image), *command]


def _keys(path: str) -> Path:
    """The file with API keys. An engine would make a folder of a path that is not there."""
    found = Path(path)
    if not found.is_file():
        raise InputError(
            f"{found} is not there, so that nobody could ask the server; make it on this host with `wattline apikey` "
            "(docs/deployment.md), or name another keys_file"
        )
    return found
