"""The generic packages of a project: files below a name and a version, published once and never changed."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.gitlab.answers import AccessError
from wattline.gitlab.project import Project

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Package:
    """One version of a generic package. Every call may raise what `answers.check` does."""

    project: Project
    name: str
    version: str

    def address(self, file: str) -> str:
        """Where a file is downloaded from."""
        return "/".join([self.project.place, "packages/generic", *map(quote, (self.name, self.version, file))])

    def digest(self, file: str) -> str | None:
        """SHA-256 of a file as GitLab gives it back; None where it is not there."""

        def once() -> str | None:
            found = hashlib.sha256()
            with self._opened(file) as answer:
                if answer is None:
                    return None
                for chunk in answer.iter_bytes():
                    found.update(chunk)
            return found.hexdigest()

        return self.project.repeated(once)

    def fetch(self, file: str, folder: Path) -> Path | None:
        """Write a file to `folder`; None where it is not there."""
        destination = folder / file

        def once() -> Path | None:
            with self._opened(file) as answer:
                if answer is None:
                    return None
                with destination.open("wb") as stream:
                    stream.writelines(answer.iter_bytes())
            return destination

        return self.project.repeated(once)

    def check_absent_or_same(self, path: Path) -> bool:
        """Whether the file at `path` is there already. Raises InputError where other bytes are there by its name."""
        wanted, there = files.sha256(path), self.digest(path.name)
        if there is not None and there != wanted:
            raise InputError(
                f"{path.name} of package {self.name} {self.version} is in GitLab already with SHA-256 {there[:12]}, "
                f"not {wanted[:12]}; what was published is not changed: set a new tag"
            )
        return there is not None

    def put(self, path: Path) -> None:
        """Upload the file at `path` under its name. Raises IntegrityError when GitLab does not give it back as sent."""
        wanted = files.sha256(path)

        def once() -> None:
            with path.open("rb") as stream:
                self.project.check(self.project.client.put(self.address(path.name), content=stream))

        # GitLab would keep two files of a name: where the answer was lost, it is looked whether the file arrived.
        self.project.repeated(once, done=lambda: self.digest(path.name) == wanted)
        found = self.digest(path.name)
        if found != wanted:
            raise IntegrityError(
                f"GitLab gives back {found[:12] if found else 'nothing'} for {path.name} of package {self.name} "
                f"{self.version}, {wanted[:12]} was sent; delete the package and run the job again"
            )

    @contextmanager
    def _opened(self, file: str) -> "Iterator[httpx.Response | None]":
        """The answer with a file; None where there is none. Object storage, to which GitLab may send, gets no token."""
        with self.project.client.stream("GET", self.address(file)) as answer:
            if answer.next_request is None:
                yield answer if self._checked(answer) else None
                return
            target = str(answer.next_request.url)
        with self.project.elsewhere.stream("GET", target, follow_redirects=True) as answer:
            yield answer if self._checked(answer) else None

    def _checked(self, answer: "httpx.Response") -> bool:
        if answer.status_code >= 300:
            answer.read()
        try:
            self.project.check(answer)
        except AccessError as error:
            if error.status == 404:
                return False
            raise
        return True
