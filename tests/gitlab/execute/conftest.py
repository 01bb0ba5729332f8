"""The programs that run a pipeline, as fixtures."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from backends.postgres import Cluster
from backends.tracking import Tracking
from image.conftest import base, containers, wheels
from image.containers import Containers

from gitlab.execute import repository
from gitlab.execute.events import Event
from gitlab.execute.installation import Programs, programs
from gitlab.execute.project import MADE, ROOT, prepare
from gitlab.execute.repository import git
from gitlab.execute.runner import Pipeline, environment
from gitlab.execute.site import KEY, Site, site

__all__ = ["base", "containers", "wheels"]


@pytest.fixture(scope="session")
def executor(cache: Path) -> Programs:
    """gitlab-ci-local with its Node, and a container registry. Without npm, root or apt: skipped, except in CI."""
    return programs(cache)


@pytest.fixture
def pipeline(executor: Programs, tmp_path: Path) -> Iterator[Callable[..., Pipeline]]:
    """Makes a pipeline of the configuration in a repository of its own: pipeline(EVENT, YAML)."""
    made: list[Pipeline] = []

    def make(event: Event, configuration: str, *, settings: Mapping[str, str] | None = None) -> Pipeline:
        folder = tmp_path / f"project-{len(made)}"
        folder.mkdir()
        (folder / ".gitlab-ci.yml").write_text(configuration)
        git(folder, "init", "--quiet", f"--initial-branch={event.ref}")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message=everything")
        where = environment(executor.node, more={"GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(tmp_path)})
        made.append(Pipeline(executor.command, folder, event=event, settings=settings or {}, environment=where))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="package")
def place(
    executor: Programs,
    containers: Containers,
    base: str,
    wheels: Path,
    auth_server: Tracking,
    postgres: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A site with the project in its GitLab, of which nothing ran yet."""
    folder = tmp_path_factory.mktemp("site")
    database = postgres.create()
    ledger = postgres.url(database).replace("postgresql+psycopg:", "postgresql:")
    public = KEY.public.pem()
    with site(
        folder, programs=executor, tracking=auth_server, ledger=ledger, containers=containers, wheels=wheels
    ) as it:
        repository.of_tree(
            ROOT,
            it.origin.folder,
            left_out=MADE,
            change=lambda desk: prepare(desk, public_key=public, serving=it.serving),
        )
        yield it
