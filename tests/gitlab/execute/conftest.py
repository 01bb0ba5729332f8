"""The programs that run a pipeline, as fixtures."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gitlab.execute.events import Event
from gitlab.execute.installation import Programs, programs
from gitlab.execute.repository import git
from gitlab.execute.runner import Pipeline, environment


@pytest.fixture(scope="session")
def executor(cache: Path) -> Programs:
    """gitlab-ci-local 4.75.1 with its Node, and a container registry. Without npm, root or apt: skipped, except in CI."""
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
