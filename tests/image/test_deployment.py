"""From a registered challenger to production, for real: built, pushed, pulled, run, measured, promoted, taken back."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_registry import USER, WATCHWORD, ImageRegistry, image_registry

from image.conftest import BASE
from image.containers import CA_BUNDLE, ROOT, Containers
from image.project import NEEDED
from tests.deployment.reports import write_acceptance
from tests.deployment.world import PRODUCTION, World, commit, wattline
from tests.registry.conftest import empty_store, project
from wattline.deployment.judging import REPORT
from wattline.deployment.record import Acceptance
from wattline.deployment.reference import Reference, Repository
from wattline.settings import settings

__all__ = ["empty_store", "project"]
pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

USER_ID = 10001


@pytest.fixture
def images(containers: Containers, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    """A registry that wants a password."""
    with image_registry(cache, tmp_path_factory.mktemp("registry") / "images") as found:
        yield found


@pytest.fixture
def site(
    project: Path,
    containers: Containers,
    base: str,
    wheels: Path,
    images: ImageRegistry,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """A checkout, a real registry of models and one of images, and a host with podman."""
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "secrets", ".env")
            )
        elif name != "params.yaml":
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, project / name)
    with (project / ".gitignore").open("a") as ignored:
        ignored.write("/build/\n")
    found = World(tmp_path_factory.mktemp("host"), project)
    variables = {
        "WATTLINE_API_KEY": found.build(),
        "WATTLINE_IMAGE_REPOSITORY": f"{images.host}/group/wattline",
        "WATTLINE_REGISTRY_USER": USER,
        "WATTLINE_REGISTRY_PASSWORD": WATCHWORD,
        "PATH": f"{found.folder / 'bin'}:{os.environ['PATH']}",
        "BUILDER": "buildah",
        "BASE": BASE,
        "CA_BUNDLE": str(CA_BUNDLE),
        "PIP_CONF": str(containers.folder / "pip.conf"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    found.repository = Repository(images.host, "group/wattline")
    containers.programs(found.folder / "bin", wheels=wheels)
    for path in (found.folder / "keys", found.folder / "keys" / "wattline_api_keys"):
        os.chown(path, USER_ID, USER_ID)
    commit(".")
    yield found
    for name in (PRODUCTION, "wattline-staging"):
        containers.podman("rm", "--force", "--time=0", "--volumes", name, check=False)


def derived(site: World, containers: Containers, image: Reference, version: str, **changes: str) -> Reference:
    """An image like `image` with another version in it: in seconds. changes: file in it -> content"""
    fetched = site.folder / f"version-{version}-{len(changes)}"
    assert wattline("fetch", version, "--to", str(fetched)).returncode == 0
    said = json.loads((fetched / "champion.json").read_text())
    lines = [f"FROM {image}", "COPY --chown=0:0 model /app/champion"]
    lines += [f'LABEL io.wattline.model.{name}="{said[name]}"' for name in ("digest", "version")]
    folder = site.folder / f"context-{version}-{len(changes)}"
    shutil.copytree(fetched, folder / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    for number, (name, content) in enumerate(changes.items()):
        (folder / str(number)).write_text(content)
        lines.append(f"COPY --chmod=644 {number} {name}")
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    tag = f"{site.repository}:derived-{version}-{len(changes)}"
    plain = "--tls-verify=false"
    login = f"--creds={USER}:{WATCHWORD}"
    program = site.folder / "bin" / "buildah"
    for command in (["build", "--format=docker", f"--tag={tag}", str(folder)], ["push", plain, login, tag]):
        subprocess.run([program, *command], check=True, capture_output=True)
    digest = site_digest(site, tag)
    return Reference(site.repository, digest)


def site_digest(site: World, tag: str) -> str:
    """What a tag of the registry names."""
    from wattline.deployment.images import Images

    with Images(site.repository, settings()) as found:
        manifest = found.find(tag.rpartition(":")[2])
    assert manifest is not None
    return manifest.digest


def done(*arguments: str, code: int = 0) -> str:
    """What a verb says; a secret is in nothing of it."""
    found = wattline(*arguments)
    assert found.returncode == code, f"{arguments}\n{found.stdout}\n{found.stderr[-3000:]}"
    said = found.stdout + found.stderr
    assert WATCHWORD not in said
    assert os.environ["WATTLINE_API_KEY"] not in said
    return said


def running(containers: Containers, name: str) -> str:
    """By which image a container was started."""
    return str(json.loads(containers.podman("container", "inspect", name).stdout)[0]["ImageName"])


def test_a_challenger_reaches_production_and_what_is_bad_does_not(
    site: World, containers: Containers, images: ImageRegistry
):
    first_version = site.version(b"one")
    done("ci", "image", "--dotenv", "build/image.env")
    first = Reference.parse(Path("build/image.env").read_text().strip().removeprefix("WATTLINE_IMAGE="))
    assert f"is there already: {first}" in done("ci", "image")
    (tag,) = images.client.get("/group/wattline/tags/list").json()["tags"]
    forged = images.push("group/wattline", tag, {"io.wattline.model.version": first_version})
    assert f"pushed: {site.repository}@" in done("ci", "image"), "whose signature is missing is not taken"
    assert images.digest("group/wattline", tag) != forged
    labels = containers.inspect(str(first))["Config"]["Labels"] if exists(containers, first) else None
    assert labels is None or labels["io.wattline.model.version"] == first_version

    done("deploy", "staging", str(first), "--dotenv", "build/staging.env")
    url = Path("build/staging.env").read_text().strip().partition("=")[2]
    assert done("smoke", url, "--model", "build/model").count("PASS") == 7
    done("acceptance", "staging")
    shown = Acceptance.from_json(REPORT.read_text())
    assert shown.passed
    assert shown.energy_per_1000 is not None
    assert (shown.energy_per_1000.provenance, shown.energy_per_1000.scope) == ("estimated", "processes")
    assert 0 < shown.energy_per_1000.joules < shown.energy_per_1000.interval[1]
    done("ci", "promote", str(first))
    assert (running(containers, PRODUCTION), site.alias()) == (str(first), "1")
    assert images.digest("group/wattline", "production") == first.digest

    second = derived(site, containers, first, site.version(b"two"))
    done("deploy", "staging", str(second))
    done("acceptance", "staging")
    done("ci", "promote", str(second))
    assert (running(containers, PRODUCTION), site.alias()) == (str(second), "2")
    assert images.digest("group/wattline", "production") == second.digest

    open_to_all = containers.podman("run", "--rm", "--entrypoint=cat", str(second), "/app/params.yaml").stdout
    open_to_all = open_to_all.replace("mode: keys", "mode: none")
    bad = derived(site, containers, first, site.version(b"three"), **{"/app/params.yaml": open_to_all})
    assert "a caller without a key is answered 200, not 401" in done("deploy", "staging", str(bad), code=1)
    assert running(containers, "wattline-staging") == str(second)
    write_acceptance(bad, version="3")
    assert "version 2 is champion" in done("ci", "promote", str(bad), code=1)
    assert (running(containers, PRODUCTION), site.alias()) == (str(second), "2")
    assert images.digest("group/wattline", "production") == second.digest

    done("ci", "rollback", "--reason", "it hums")
    assert (running(containers, PRODUCTION), site.alias()) == (str(first), "1")
    assert images.digest("group/wattline", "production") == first.digest
    done("deploy", "production", "--stop")
    done("deploy", "staging", "--stop")
    assert containers.podman("ps", "--all", "--quiet").stdout.strip() == ""


def exists(containers: Containers, image: Reference) -> bool:
    """Whether this storage has the image by its digest."""
    return containers.podman("image", "exists", str(image), check=False).returncode == 0
