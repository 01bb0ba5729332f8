"""docker/compose.yaml: pinned, closed, watched, and accepted by compose itself."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from image.containers import ROOT
from wattline.serving.access.keyring import Keyring

COMPOSE = ROOT / "docker" / "compose.yaml"
STACK = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
SECRET = re.compile(r"password|secret|token|_key(?!s?_file)", re.IGNORECASE)
every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_images_are_pinned(name: str):
    image = SERVICES[name]["image"]
    assert image.startswith("${WATTLINE_IMAGE:?") or PINNED.fullmatch(image)


@every_service
def test_ports_are_bound_to_loopback(name: str):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@every_service
def test_a_service_can_do_as_little_as_possible(name: str):
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & service.keys()
    assert name == "server" or not service["user"].startswith(("0", "root"))


@every_service
def test_a_service_that_stays_is_watched(name: str):
    check = SERVICES[name]["healthcheck"]
    assert check.get("disable") is (True if SERVICES[name]["restart"] != "unless-stopped" else None)
    assert check.get("disable") or check["test"][0] == "CMD"


@every_service
def test_secrets_are_files_and_never_in_the_environment(name: str):
    service = SERVICES[name]
    assert "env_file" not in service
    for variable, value in service.get("environment", {}).items():
        assert not SECRET.search(variable) or value.startswith("/run/secrets/"), variable
    assert not [mount for mount in service.get("volumes", []) if "docker.sock" in mount]


@pytest.mark.parametrize("kind", ["secrets", "configs", "volumes", "networks"])
def test_what_a_service_names_is_declared_and_what_is_declared_is_used(kind: str):
    named = set()
    for service in SERVICES.values():
        for one in service.get(kind, []):
            name = one["source"] if isinstance(one, dict) else one.split(":")[0]
            if not name.startswith((".", "/")):
                named.add(name)
    assert named == STACK[kind].keys()


def test_every_file_that_is_mounted_is_there_or_made_by_the_script(secrets: Path):
    for kind in ("configs", "secrets"):
        for one in STACK[kind].values():
            assert (secrets.parent / one["file"]).is_file()
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert not source.startswith(".") or (COMPOSE.parent / source).is_dir()


def test_only_mlflow_reaches_its_objects_and_only_who_promotes_its_database_too():
    assert STACK["networks"]["store"] == {"internal": True}
    inside = {name for name, service in SERVICES.items() if "store" in service["networks"]}
    assert inside == {"mlflow", "bucket", "postgres", "objects"}
    # Who promotes writes the audit log into PostgreSQL, from outside of the stack.
    assert {name for name in ("postgres", "objects", "bucket") if "ports" in SERVICES[name]} == {"postgres"}


def test_compose_itself_accepts_it(secrets: Path):
    command = compose_command()
    environment = {"PATH": os.environ["PATH"], "WATTLINE_IMAGE": f"registry.example.org/wattline@sha256:{'a' * 64}"}
    checked = subprocess.run(
        [*command, "-f", str(secrets.parent / "compose.yaml"), "config", "--format=json"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    found = json.loads(checked.stdout)["services"]
    assert found.keys() == SERVICES.keys()
    assert found["server"]["image"] == environment["WATTLINE_IMAGE"]
    del environment["WATTLINE_IMAGE"]
    unnamed = subprocess.run(
        [*command, "-f", str(secrets.parent / "compose.yaml"), "config"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert unnamed.returncode != 0
    assert "WATTLINE_IMAGE" in unnamed.stderr


def compose_command() -> list[str]:
    """Compose, which checks a file without an engine."""
    if found := shutil.which("docker-compose"):
        return [found]
    plugin = ["docker", "compose"]
    if (
        shutil.which("docker")
        and subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0
    ):
        return plugin
    return pytest.skip("neither docker-compose nor the plugin of docker is here")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What docker/secrets.sh makes, in a copy of the folders it stands in."""
    folder = tmp_path_factory.mktemp("stack")
    for name in ("docker", "deploy"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("secrets", ".env", "__pycache__"))
    subprocess.run([folder / "docker" / "secrets.sh"], check=True)
    return folder / "docker" / "secrets"


def test_secrets_are_made_once_and_kept(secrets: Path):
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    subprocess.run([secrets.parent / "secrets.sh"], check=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert f"SECRETS_GID={os.getgid()}" in (secrets.parent / ".env").read_text().splitlines()


def test_secrets_belong_to_one_user_and_differ(secrets: Path):
    assert secrets.stat().st_mode & 0o777 == 0o700
    names = ("postgres_password", "grafana_password", "metrics_key", "mlflow_password", "mlflow_environment")
    values = [(secrets / name).read_text() for name in names]
    assert len(set(values)) == len(names)
    assert all(len(value) > 40 for value in values)


def test_the_server_knows_the_keys_that_were_made(secrets: Path):
    ring = Keyring(secrets / "wattline_api_keys")
    found = {name: ring.principal((secrets / f"{name}_key").read_text().strip()) for name in ("metrics", "operator")}
    assert {name: sorted(one.roles) for name, one in found.items() if one} == {
        "metrics": ["audit"],
        "operator": ["audit", "feedback", "operate", "predict"],
    }


def test_the_store_and_its_client_share_one_key(secrets: Path):
    credential = json.loads((secrets / "s3_config").read_text())["identities"][0]["credentials"][0]
    assert f"aws_secret_access_key = {credential['secretKey']}\n" in (secrets / "s3_credentials").read_text()
    assert (secrets / "postgres_password").read_text().strip() in (secrets / "postgres_service").read_text()
