"""A project's model registry in GitLab: its MLflow endpoint, and the packages in which versions keep their files."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

from wattline.gitlab import project
from wattline.gitlab.answers import RefusedError, Reply

MOUNT = "ml/mlflow/api/2.0/mlflow"
ARTIFACTS = "ml/mlflow/api/2.0/mlflow-artifacts/artifacts"


class GitLab(project.Project):
    """A project with a model registry."""

    def find(self, path: str, query: Mapping[str, str]) -> Reply | None:
        """What GitLab's MLflow endpoint answers to `path`; None when it says that there is no such thing."""
        return self._found(f"{MOUNT}/{path}", query)

    def change(
        self, method: str, path: str, body: Mapping[str, Any], *, done: Callable[[], bool] | None = None
    ) -> None:
        """Change something through GitLab's MLflow endpoint, as `send` does."""
        self.send(method, f"{MOUNT}/{path}", body, done=done)

    def files(self, version: str) -> list[str]:
        """Paths of the files of a version, as often as they are there. `version` is GitLab's own number of it."""
        found = self._found(ARTIFACTS, {"path": version}) or {}
        # GitLab keeps the path of a file below a folder as one escaped name.
        return [re.sub("%2[Ff]", "/", str(one["path"])) for one in found.get("files", [])]

    def put(self, version: str, name: str, opened: Callable[[], BinaryIO]) -> None:
        """Put a file into the package of a version, once: GitLab would keep two of a name."""

        def once() -> None:
            with opened() as stream:
                self.check(self.client.put(self._file(version, name), content=stream))

        self.repeated(once, done=lambda: name in self.files(version))

    def digest(self, version: str, name: str) -> str:
        """SHA-256 of a file as GitLab gives it back."""

        def once() -> str:
            # GitLab may hand out a file through its object storage; httpx takes no token to another origin.
            with self.client.stream("GET", self._file(version, name), follow_redirects=True) as answer:
                if answer.status_code >= 300:
                    answer.read()
                self.check(answer)
                found = hashlib.sha256()
                for chunk in answer.iter_bytes():
                    found.update(chunk)
                return found.hexdigest()

        return str(self.repeated(once))

    def _file(self, version: str, name: str) -> str:
        return f"{self.place}/packages/ml_models/{quote(version)}/files/{quote(name)}"

    def _found(self, path: str, query: Mapping[str, str]) -> Reply | None:
        try:
            found: Reply = self.get(path, query)
        except RefusedError as error:
            if error.code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return found
