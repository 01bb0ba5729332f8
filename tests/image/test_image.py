"""The server's image: small, without tools or secrets, honest about what is in it, and able to serve from read-only."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from builders import COLUMNS, STEPS

from image.conftest import COMMIT, digest
from image.containers import CA_BUNDLE, PIP, Container, Containers
from image.project import STRAY_CONTENT
from wattline.serving.access import keys

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

ROW = {column.name: 1.5 for column in COLUMNS}
QUESTION = {"unit": "node-01", "rows": [ROW] * STEPS}
USER = "10001:10001"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """An API key for everything, and the file that the server knows it by."""
    path = tmp_path_factory.mktemp("secrets") / "api_keys"
    key, entry = keys.new_key("tester", ["predict", "audit"])
    keys.add_key(path, entry)
    os.chown(path, 10001, 10001)
    return key, path


def options(path: Path) -> list[str]:
    return [f"--user={USER}", f"--volume={path}:/run/secrets/wattline_api_keys:ro"]


@pytest.fixture(scope="module")
def server(containers: Containers, image: str, caller: tuple[str, Path]) -> Iterator[Container]:
    """A container that answers."""
    with containers.running(image, "--host=127.0.0.1", "--port=0", options=options(caller[1])) as container:
        container.address()
        yield container


def ask(container: Container, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{container.address()}/predict", json=QUESTION, headers=headers, timeout=30)


def test_a_container_becomes_ready_and_answers_those_with_a_key(server: Container, caller: tuple[str, Path]):
    assert httpx.get(f"{server.address()}/readyz", timeout=30).status_code == 200
    assert httpx.post(f"{server.address()}/predict", json=QUESTION, timeout=30).status_code == 401
    answer = ask(server, caller[0])
    assert (answer.status_code, answer.json()["unit"]) == (200, "node-01")


def test_it_is_nobody_in_particular_and_may_do_nothing(server: Container):
    said = server.python("print(open('/proc/1/status').read())").stdout
    status = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
    assert (int(status["CapEff"], 16), int(status["CapBnd"], 16), int(status["NoNewPrivs"])) == (0, 0, 1)


@pytest.mark.parametrize("path", ["/", "/app", "/app/champion", "/opt/wattline", "/etc", "/usr/local/bin"])
def test_only_its_own_folder_can_be_written(server: Container, path: str):
    assert server.python("open('/var/lib/wattline/x', 'w')").returncode == 0
    refused = server.python(f"open('{path}/x', 'w')")
    assert refused.returncode != 0
    assert re.search("Read-only file system|Permission denied", refused.stderr)


def test_its_files_belong_to_root_so_that_it_could_not_change_them_on_a_writable_root_either(server: Container):
    code = """
import os
for top in ("/app", "/opt/wattline"):
    for folder, _, names in os.walk(top):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            status = os.lstat(path)
            if status.st_uid != 0 or (status.st_mode & 0o022 and not os.path.islink(path)):
                print(path)
"""
    assert server.python(code).stdout == ""


@pytest.mark.parametrize("command", ["pip", "pip3", "gcc", "cc", "make", "git", "curl", "wheel"])
def test_there_is_no_tool_to_build_or_fetch_with(server: Container, command: str):
    assert server.exec("sh", "-c", f"command -v {command}").returncode != 0


MODULES = ["pip", "setuptools", "ensurepip", "torch", "mlflow", "pandas", "pyarrow", "sklearn", "project", "pytest"]


@pytest.mark.parametrize("module", MODULES)
def test_no_library_of_training_and_no_code_of_the_project_is_in_it(server: Container, module: str):
    assert server.python(f"import {module}").stderr.strip().endswith(f"No module named '{module}'")


def test_every_module_of_the_server_can_be_imported_with_what_is_in_it(server: Container):
    code = """
import importlib, pkgutil, wattline.serving
for found in pkgutil.walk_packages(wattline.serving.__path__, "wattline.serving."):
    importlib.import_module(found.name)
"""
    done = server.python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_left_to_compile_at_its_start(server: Container):
    code = """
import importlib.util, os, sys
import wattline.cli, wattline.params, wattline.serving.server, wattline.serving.assembly
specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
origins = [spec.origin for spec in specs if spec]
sources = [origin for origin in origins if origin and origin.endswith(".py")]
print(len(sources), [name for name in sources if not os.path.exists(importlib.util.cache_from_source(name))])
"""
    done = server.python(code)
    assert (done.returncode, done.stderr) == (0, "")
    count, uncompiled = done.stdout.split(" ", 1)
    assert int(count) > 300
    assert json.loads(uncompiled.replace("'", '"')) == []


def test_its_labels_name_commit_model_and_base(containers: Containers, image: str, project: Path):
    labels = containers.inspect(image)["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == COMMIT
    assert labels["io.wattline.model.digest"] == digest(project)
    assert (labels["io.wattline.model.name"], labels["io.wattline.model.version"]) == ("anomaly", "1")
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.base.name"].endswith("python:3.11-slim")


def test_it_says_how_it_is_asked_watched_and_ended(containers: Containers, image: str):
    found = containers.inspect(image)
    config = found["Config"]
    assert config["User"] == USER
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert list(config["ExposedPorts"]) == ["8000/tcp"]
    assert config["Entrypoint"] == ["python", "-m", "wattline", "serve"]
    assert found["Healthcheck"]["Test"][:2] == ["CMD", "python"]


def test_the_health_check_passes_for_a_ready_server_and_fails_where_none_answers(
    containers: Containers, image: str, server: Container
):
    command = containers.inspect(image)["Healthcheck"]["Test"][1:]
    port = server.address().rsplit(":", 1)[1]
    assert server.exec(*command, port).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused = server.exec(*command, str(silent.getsockname()[1]))
    assert (refused.returncode, "no answer: timed out" in refused.stdout + refused.stderr) == (1, True)


def test_it_ends_with_0_when_it_is_told_to(containers: Containers, image: str, caller: tuple[str, Path]):
    with containers.running(image, "--host=127.0.0.1", "--port=0", options=options(caller[1])) as container:
        container.address()
        assert container.stop() == 0


def test_two_on_one_host_do_not_disturb_each_other(containers: Containers, image: str, caller: tuple[str, Path]):
    arguments = ("--host=127.0.0.1", "--port=0")
    with (
        containers.running(image, *arguments, options=options(caller[1])) as first,
        containers.running(image, *arguments, options=options(caller[1])) as second,
    ):
        assert first.address() != second.address()
        assert [ask(one, caller[0]).status_code for one in (first, second)] == [200, 200]
        assert first.stop() == 0
        assert ask(second, caller[0]).status_code == 200


def test_without_keys_or_where_none_would_be_asked_for_it_does_not_start(
    containers: Containers, image: str, project: Path
):
    with containers.running(image, options=[f"--user={USER}"]) as keyless:
        said = containers.podman("wait", keyless.identity)
        assert said.stdout.strip() != "0"
        assert "keys" in keyless.logs()
    open_to_all = f"--volume={project / 'params.yaml'}:/app/params.yaml:ro"
    with containers.running(image, "--host=0.0.0.0", options=[open_to_all]) as careless:
        containers.podman("wait", careless.identity)
        assert "serving.auth.mode is none" in careless.logs()


def test_no_secret_and_nothing_uncalled_for_is_in_any_layer_or_in_the_history(
    containers: Containers, image: str, project: Path
):
    private = (project / ".wattline" / "keys" / "private.pem").read_text().splitlines()[1]
    layers = containers.layers(image)
    assert len(list(layers.iterdir())) >= 2, "that of the base and that of the server"
    for secret in (private, STRAY_CONTENT, PIP.splitlines()[-1]):
        found = subprocess.run(["grep", "-rlF", secret, str(layers)], capture_output=True, text=True, check=False)
        assert (found.returncode, found.stdout) == (1, ""), secret
    history = containers.podman("history", "--no-trunc", "--format=json", image).stdout
    assert private not in history
    names = {path.name for path in layers.rglob("*") if path.parent.name == "secrets"}
    assert names <= {"wattline_api_keys"}
    assert not [path for path in layers.rglob("*.pem") if path.name == "private.pem"]


def test_the_certificates_of_the_build_are_in_no_layer_of_ours(containers: Containers, image: str):
    size = CA_BUNDLE.stat().st_size
    ours = sorted(containers.layers(image).iterdir(), key=lambda path: int(path.name))[1:]
    same = [path for layer in ours for path in layer.rglob("*") if path.is_file() and path.stat().st_size == size]
    assert not [path for path in same if path.read_bytes() == CA_BUNDLE.read_bytes()]


def test_what_comes_on_top_of_the_base_stays_small(containers: Containers, image: str):
    sizes = []
    for layer in sorted(containers.layers(image).iterdir(), key=lambda path: int(path.name)):
        found = subprocess.run(["du", "-sb", str(layer)], capture_output=True, text=True, check=True)
        sizes.append(int(found.stdout.split()[0]))
    print(f"layers, the base first [MB]: {[round(size / MEGABYTE, 1) for size in sizes]}")
    assert sum(sizes[1:]) < 170 * MEGABYTE
