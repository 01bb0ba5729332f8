"""The name of one image: a repository and a digest. A tag names whatever somebody pushed last, so none is deployed."""

import re
from dataclasses import dataclass
from typing import Self

from wattline.errors import InputError
from wattline.settings import Settings
from wattline.trust import LOOPBACK

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REPOSITORY = re.compile(
    r"(?P<host>[a-zA-Z0-9.-]+(:[0-9]{1,5})?)/(?P<path>[a-z0-9]+([._/-]+[a-z0-9]+)*)",
)
SHOWN = 12


@dataclass(frozen=True)
class Repository:
    """Where images of one name are.

    host: of the registry, with its port where that is not 443
    path: of the repository there
    """

    host: str
    path: str

    @classmethod
    def parse(cls, text: str, *, source: str) -> Self:
        """Read HOST[:PORT]/PATH. Raises InputError naming `source`, where the text is from."""
        found = REPOSITORY.fullmatch(text)
        if not found or not ("." in found["host"] or ":" in found["host"] or found["host"] == "localhost"):
            raise InputError(f"{source} is {text!r}, not HOST/PATH of an image repository without tag; correct it")
        return cls(found["host"], found["path"])

    @classmethod
    def of_project(cls, known: Settings) -> Self:
        """The repository of the environment. Raises InputError when no variable names one."""
        if known.image_repository:
            return cls.parse(known.image_repository, source="WATTLINE_IMAGE_REPOSITORY")
        if known.ci_registry_image:
            return cls.parse(f"{known.ci_registry_image}/server", source="CI_REGISTRY_IMAGE")
        raise InputError(
            "neither WATTLINE_IMAGE_REPOSITORY nor CI_REGISTRY_IMAGE is set, so that no image has a place; "
            "switch on the container registry of the project, or set WATTLINE_IMAGE_REPOSITORY=HOST/PATH"
        )

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where plain HTTP shows nothing to anybody."""
        return self.host.partition(":")[0] in LOOPBACK

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


@dataclass(frozen=True)
class Reference:
    """One image, which never changes.

    digest: of its manifest, "sha256:..."
    """

    repository: Repository
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read REPOSITORY@sha256:DIGEST. Raises InputError for anything else, a tag above all."""
        name, _, digest = text.partition("@")
        if not DIGEST.fullmatch(digest):
            raise InputError(
                f"{text!r} names no image by digest; give REPOSITORY@sha256:..., as `wattline ci image` writes it: "
                "a tag may be another image tomorrow"
            )
        return cls(Repository.parse(name, source="the image"), digest)

    @property
    def short(self) -> str:
        """The first digits of the digest, for messages."""
        return self.digest.removeprefix("sha256:")[:SHOWN]

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"
