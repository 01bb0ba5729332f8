"""The site around a project: GitLab, tracking server, container registry, storage for data, and a runner's machine."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml
from backends.processes import free_port, serving
from backends.proxy import Faults, faults
from backends.tracking import Tracking
from builders import signing_key
from image.conftest import BASE
from image.containers import Containers

from gitlab import standin
from gitlab.execute.events import FORK, PROJECT, Event
from gitlab.execute.installation import Programs
from gitlab.execute.project import ROOT
from gitlab.execute.repository import Repository, git
from gitlab.execute.runner import Pipeline, Result, environment
from gitlab.standin.state import merge_request
from wattline.serving.access.keys import add_key, new_key

KEY = signing_key()
"""Signs versions and promotions; the project trusts its public half."""
IMAGE_USER = (10001, 10001)
"""As whom the server runs inside of its image."""
IMAGES = f"{PROJECT[1]}/server"
"""Where images go in the registry when nothing else is set."""
QUICK_TESTS = "tests/unit/test_intervals.py"
"""Whether all of them pass is asked elsewhere."""
TYPES = ROOT / ".mypy_cache"
STORAGE = """[storage]
driver = "overlay"
graphroot = "{root}"
runroot = "{run}"
"""


@dataclass(frozen=True)
class Site:
    """Everything that a pipeline of the project talks to.

    origin, fork: the project's repository, and somebody's fork of it
    settings: CI variables of the project
    protected: those that only protected branches are given
    machine: what the runner gives to every job
    registry: address of the container registry
    remote: where DVC pushes
    serving: environment -> the knobs that say where it is served
    front: the proxy in front of production
    """

    folder: Path
    programs: Programs
    gitlab: standin.Server
    tracking: Tracking
    containers: Containers
    origin: Repository
    fork: Repository
    settings: dict[str, str]
    protected: dict[str, str]
    machine: dict[str, str]
    registry: str
    remote: Path
    serving: Mapping[str, Mapping[str, Any]]
    front: Faults
    made: list[Pipeline] = field(default_factory=list)

    def pipeline(self, event: Event, *, settings: Mapping[str, str] | None = None, whole: bool = False) -> Pipeline:
        """The pipeline of the newest commit of the event's branch, in a clone that the runner made for it.

        settings: variables that win over those of the project
        whole: with the jobs that look at the sources alone; else they are left out, since they take a minute
        """
        number = len(self.made) + 1
        folder = self.folder / f"pipeline-{number}"
        source = self.origin if event.trusted else self.fork
        git(self.folder, "clone", "--quiet", source.address, folder.name)
        git(folder, "checkout", "--quiet", "--detach", f"origin/{event.ref}")
        git(folder, "remote", "set-head", "origin", "--auto")
        _age(folder)
        # Where gitlab-ci-local puts dotenv reports, which GitLab puts nowhere: no source that differs from the commit.
        (folder / ".git" / "info" / "exclude").write_text(".gitlab-ci-reports/\n")
        given = self._predefined(source, number)
        given |= self.settings if event.trusted else {}
        given |= self.protected if event.protected else {}
        made = Pipeline(
            self.programs.command,
            folder,
            event=event,
            settings=given | dict(settings or {}),
            environment=self.machine,
            left_out=() if whole else ("lint", "unit"),
        )
        self.made.append(made)
        return made

    def once(self, event: Event, *, settings: Mapping[str, str] | None = None, whole: bool = False) -> Result:
        """Run a pipeline whose manual jobs nobody presses."""
        made = self.pipeline(event, settings=settings, whole=whole)
        try:
            return made.run()
        finally:
            made.close()

    def open_merge_request(self, iid: int, source: str) -> None:
        """As somebody does in GitLab."""
        state, sha = self.gitlab.state, self.origin.head(source)
        with self.gitlab.lock:
            state.branches.append({"name": source, "commit": {"id": sha}, "default": False})
            state.merge_requests = [row for row in state.merge_requests if row["iid"] != iid]
            state.merge_requests.append(merge_request(iid, source_branch=source, sha=sha))

    def secrets(self) -> list[str]:
        """What no log may show: single lines, as a log has lines."""
        known = [self.settings["WATTLINE_GITLAB_TOKEN"], self.tracking.password, self.protected["WATTLINE_API_KEY"]]
        return [*known, self.protected["WATTLINE_SIGNING_KEY"].splitlines()[1]]

    def notes(self, iid: int) -> list[str]:
        """What is to be read below a merge request."""
        with self.gitlab.lock:
            return [row["body"] for row in self.gitlab.state.notes if row["noteable_iid"] == iid]

    def aliases(self, name: str = "node_anomaly-simulator") -> dict[str, str]:
        """Alias -> version, as the tracking server tells."""
        answer = httpx.get(
            f"{self.tracking.url}/api/2.0/mlflow/registered-models/get",
            params={"name": name},
            auth=(self.tracking.user, self.tracking.password),
        )
        rows = answer.json().get("registered_model", {}).get("aliases", [])
        return {row["alias"]: str(row["version"]) for row in rows}

    def running(self, environment: str) -> str:
        """Digest of the image that runs there, as it was asked for; Podman's own of what it unpacked is another one."""
        name = self.serving[environment]["name"]
        said = self.containers.podman("inspect", "--format={{.ImageName}} {{.State.Running}}", name).stdout.split()
        assert said[1] == "true", f"{name} does not run"
        return said[0].rpartition("@")[2]

    def pushed(self) -> set[str]:
        """Digests of all images in the registry that have a tag."""
        tags = httpx.get(f"http://{self.registry}/v2/{IMAGES}/tags/list").json().get("tags") or []
        return {self.tagged(tag) for tag in tags}

    def tagged(self, tag: str) -> str:
        """Digest of the image that a tag names; empty where there is none."""
        kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        answer = httpx.head(f"http://{self.registry}/v2/{IMAGES}/manifests/{tag}", headers={"Accept": kinds})
        return answer.headers.get("Docker-Content-Digest", "")

    def _predefined(self, source: Repository, number: int) -> dict[str, str]:
        """What GitLab says of itself and of the project in which a pipeline runs."""
        web = self.gitlab.root.removesuffix("/api/v4")
        project = f"{web}/{source.path}"
        return {
            "CI_SERVER_URL": web,
            "CI_API_V4_URL": self.gitlab.root,
            "CI_PROJECT_ID": source.number,
            "CI_PROJECT_PATH": source.path,
            "CI_PROJECT_URL": project,
            "CI_REPOSITORY_URL": source.address,
            "CI_PIPELINE_ID": str(number),
            "CI_PIPELINE_URL": f"{project}/-/pipelines/{number}",
            "CI_JOB_TOKEN": standin.JOB if source is self.origin else "of-a-job-in-the-fork",
            "CI_PAGES_URL": f"{web}/pages/{source.path}",
            "CI_REGISTRY": self.registry,
            "CI_REGISTRY_IMAGE": f"{self.registry}/{source.path}",
            "GITLAB_USER_LOGIN": "ada",
        }


@contextmanager
def site(
    folder: Path, *, programs: Programs, tracking: Tracking, ledger: str, containers: Containers, wheels: Path
) -> Iterator[Site]:
    """Start what a site has, and end it with all that jobs have left running."""
    with ExitStack() as stack:
        gitlab = stack.enter_context(standin.running())
        gitlab.state.project["ci_allow_fork_pipelines_to_run_in_parent_project"] = False
        mirror = stack.enter_context(_files(wheels))
        registry = stack.enter_context(_registry(folder, programs.registry))
        remote = folder / "dvc-remote"
        remote.mkdir()
        (number, path), (other, elsewhere) = PROJECT, FORK
        origin = Repository(folder / "origin.git", path=path, number=number)
        fork = Repository(folder / "fork.git", path=elsewhere, number=other)
        key, keys_file = _api_key(folder)
        serving = {name: _environment(folder, name, keys_file) for name in ("staging", "production")}
        front = stack.enter_context(faults(f"http://127.0.0.1:{serving['production']['port']}"))
        serving["production"]["url"] = front.url
        yield Site(
            folder,
            programs,
            gitlab,
            tracking,
            containers,
            origin,
            fork,
            settings={
                "WATTLINE_DVC_REMOTE": str(remote),
                "WATTLINE_GITLAB_TOKEN": standin.API,
                "WATTLINE_TESTS": QUICK_TESTS,
                "WATTLINE_SERVED": str(folder / "production"),
                **tracking.environment,
            },
            protected={
                "WATTLINE_LEDGER_URI": ledger,
                "WATTLINE_SIGNING_KEY": KEY.pem(None).decode(),
                "WATTLINE_API_KEY": key,
            },
            machine=_machine(folder, programs, containers, registry=registry, mirror=mirror),
            registry=registry,
            remote=remote,
            serving=serving,
            front=front,
        )


def _api_key(folder: Path) -> tuple[str, Path]:
    """What the deployed servers are asked with, and the file that they know it from."""
    key, entry = new_key("pipeline", ["predict", "audit"])
    path = folder / "keys" / "wattline_api_keys"
    path.parent.mkdir()
    add_key(path, entry)
    for place in (path.parent, path):
        os.chown(place, *IMAGE_USER)
    return key, path


def _environment(folder: Path, name: str, keys_file: Path) -> dict[str, Any]:
    # The image writes to the top of this folder what a checkout has in .wattline, where the monitor looks for it.
    data = folder / name / ".wattline"
    data.mkdir(parents=True)
    os.chown(data, *IMAGE_USER)
    return {
        "name": f"wattline-test-{name}",
        "port": free_port(),
        "state": str(folder / f"{name}-state"),
        "data": str(data),
        "keys_file": str(keys_file),
    }


def _machine(folder: Path, programs: Programs, containers: Containers, *, registry: str, mirror: str) -> dict[str, str]:
    """A runner's environment: the tools that are installed here, and a storage of images apart from everybody's."""
    home = folder / "home"
    home.mkdir()
    storage = folder / "storage.conf"
    storage.write_text(STORAGE.format(root=containers.folder / "storage", run=containers.folder / "run"))
    registries = folder / "registries.conf"
    registries.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    types = folder / "mypy"
    if TYPES.is_dir():  # of the same sources, by relative names: what was checked before is not checked anew
        shutil.copytree(TYPES, types)
    pip = folder / "pip.conf"
    pip.write_text(f"[global]\nno-index = true\nfind-links = {mirror}\n")
    return environment(
        programs.node,
        more={
            "HOME": str(home),
            "VENV": str(_linked_environment(folder / "venv")),
            "PYTHONPATH": "src",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "MYPY_CACHE_DIR": str(types),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder / "dvc-site"),
            "OMP_NUM_THREADS": "1",
            "CONTAINERS_CONF": str(containers.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "PIP_CONF": str(pip),
            "BUILDER": "buildah",
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_LAYERS": "true",
            "BASE": BASE,
        },
    )


def _linked_environment(folder: Path) -> Path:
    """The environment of these tests under another name; `make setup` finds nothing to do in it."""
    folder.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / name).symlink_to(Path(sys.prefix) / name)
    (folder / ".ready").touch()
    return folder


def _age(clone: Path) -> None:
    """Make what `make setup` reads older than the environment, which holds all of it."""
    for path in (*clone.glob("requirements/*"), clone / "pyproject.toml"):
        os.utime(path, (0, 0))


@contextmanager
def _registry(folder: Path, program: Path) -> Iterator[str]:
    """A container registry on the loopback; its address."""
    address = f"127.0.0.1:{free_port()}"
    config = folder / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "registry")}, "delete": {"enabled": True}}
    config.write_text(
        yaml.safe_dump({"version": 0.1, "log": {"level": "warn"}, "storage": storage, "http": {"addr": address}})
    )

    def answers() -> bool:
        try:
            return httpx.get(f"http://{address}/v2/", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    with serving([program, "serve", config], answers=answers, log=folder / "registry.log", environment={}):
        yield address


@contextmanager
def _files(folder: Path) -> Iterator[str]:
    """A mirror of packages, as a site without an index has one; its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, standin.serving(server):
        yield f"http://127.0.0.1:{server.server_port}/"
