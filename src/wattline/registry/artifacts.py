"""The files of a version in MLflow's artifact store, read and written without asking for its run each time."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wattline.errors import IntegrityError
from wattline.settings import settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE = "candidate"
"""Folder that a version's source names; what else belongs to it lies beside that folder."""


class Artifacts:
    """Files below the folder of one version's run."""

    def __init__(self, version: "ModelVersion") -> None:
        """Raises IntegrityError when the version points elsewhere than `register` makes it."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        source = str(version.source)
        self._label = f"version {version.version} of {version.name}"
        if not source.endswith(f"/{CANDIDATE}"):
            raise IntegrityError(f"{self._label} points to {source[:200]}, which is no candidate; register it again")
        root = source.removesuffix(f"/{CANDIDATE}")
        self._repository: Any = get_artifact_repository(root, tracking_uri=settings().tracking_uri)

    def download(self, folder: Path, *parts: str) -> None:
        """Copy the folders `parts` into `folder`."""
        for part in parts:
            self._repository.download_artifacts(part, str(folder))

    def read(self, path: str) -> bytes | None:
        """Content of one file; None where there is none."""
        if path not in {found.path for found in self._repository.list_artifacts(str(Path(path).parent))}:
            return None
        with TemporaryDirectory(prefix="wattline-") as temporary:
            return Path(self._repository.download_artifacts(path, temporary)).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Replace one file, unless it has this content. Raises IntegrityError when it does not come back as sent."""
        if self.read(path) == content:
            return
        with TemporaryDirectory(prefix="wattline-") as temporary:
            local = Path(temporary) / Path(path).name
            local.write_bytes(content)
            self._repository.log_artifact(str(local), str(Path(path).parent))
        if self.read(path) != content:
            raise IntegrityError(
                f"the store gave back another {path} of {self._label} than was sent; check the store and try again"
            )
