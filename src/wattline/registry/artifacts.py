"""The files of a version in MLflow's artifact store, read and written without asking for its run each time."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from wattline import files
from wattline.errors import IntegrityError, WattlineError
from wattline.registry import store
from wattline.settings import settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE = "candidate"
"""Folder that a version's source names; what else belongs to it lies beside that folder."""


class Place(Protocol):
    """Where files lie. Paths are relative to it."""

    def download(self, folder: Path, part: str) -> None:
        """Copy the folder `part` to `folder`."""
        ...

    def has(self, part: str) -> bool:
        """Whether there is anything in the folder `part`."""
        ...

    def read(self, path: str) -> bytes | None:
        """Content of one file; None where there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Replace one file."""
        ...


class Artifacts:
    """Files below the folder of one version's run."""

    def __init__(self, version: "ModelVersion") -> None:
        """Raises IntegrityError when the version points elsewhere than `register` makes it."""
        source = str(version.source)
        self._label = f"version {version.version} of {version.name}"
        if not source.endswith(f"/{CANDIDATE}"):
            raise IntegrityError(f"{self._label} points to {source[:200]}, which is no candidate; register it again")
        root = source.removesuffix(f"/{CANDIDATE}")
        local = urlsplit(root)
        self._place: Place = Folder(Path(unquote(local.path))) if local.scheme == "file" else Store(root)

    def download(self, folder: Path, *parts: str) -> None:
        """Copy the folders `parts` into `folder`. Raises WattlineError for files that do not come.

        Raises OSError or MlflowException for a folder that is not there.
        """
        with self._naming_files():
            for part in parts:
                self._place.download(folder, part)

    def has(self, part: str) -> bool:
        """Whether there is anything in the folder `part`."""
        return self._place.has(part)

    def read(self, path: str) -> bytes | None:
        """Content of one file; None where there is none. Raises WattlineError when it is there and does not come."""
        with self._naming_files():
            return self._place.read(path)

    def write(self, path: str, content: bytes) -> None:
        """Replace one file, unless it has this content. Raises IntegrityError when it does not come back as sent."""
        with suppress(WattlineError):  # a damaged one is replaced, too
            if self.read(path) == content:
                return
        self._place.write(path, content)
        if self.read(path) != content:
            raise IntegrityError(
                f"the store gave back another {path} of {self._label} than was sent; check the store and try again"
            )

    @contextmanager
    def _naming_files(self) -> Iterator[None]:
        """Say which files did not come: MLflow has them somewhere in its message.

        A tracking server answers alike when its object store is down and when bytes there are not what was stored.
        """
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            failed = re.findall(r"##### File (.+?) #####\n(.*)", str(error))
            if not failed:
                raise
            paths, said = ", ".join(path for path, _ in failed), store.reason(RuntimeError(failed[0][1]))
            raise WattlineError(
                f"{self._label}: {paths} did not come from the MLflow store, which has it: {said}; try again, and if "
                "it does not come then either, it is damaged there: restore it, or register the candidate again"
            ) from None


class Folder:
    """A folder of this machine: MLflow's own way there copies each file twice, and does not replace it in one step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def download(self, folder: Path, part: str) -> None:
        shutil.copytree(self._folder / part, folder / part, copy_function=shutil.copyfile)

    def has(self, part: str) -> bool:
        return (self._folder / part).is_dir()

    def read(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        files.write_bytes(self._folder / path, content)


class Store:
    """Anything that MLflow knows how to reach."""

    def __init__(self, root: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._repository: Any = get_artifact_repository(root, tracking_uri=settings().tracking_uri)

    def download(self, folder: Path, part: str) -> None:
        self._repository.download_artifacts(part, str(folder))

    def has(self, part: str) -> bool:
        return bool(self._repository.list_artifacts(part))

    def read(self, path: str) -> bytes | None:
        if path not in {found.path for found in self._repository.list_artifacts(str(Path(path).parent))}:
            return None
        with TemporaryDirectory(prefix="wattline-") as temporary:
            return Path(self._repository.download_artifacts(path, temporary)).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        with TemporaryDirectory(prefix="wattline-") as temporary:
            local = Path(temporary) / Path(path).name
            local.write_bytes(content)
            self._repository.log_artifact(str(local), str(Path(path).parent))
