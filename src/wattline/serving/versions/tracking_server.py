"""The few questions that a server has for MLflow's REST API: which version, and its files."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

from wattline.errors import InputError
from wattline.serving.versions.loading import LoadError
from wattline.serving.web import Credentials, Web, is_address

DIGEST = "wattline.candidate"
KEY = "wattline.key"
PROMOTION = "wattline.promotion"
"""Tags of a version: digest of its candidate, id of the key that signed its statement, and sequence of the entry that
made it champion."""
SCHEME = "mlflow-artifacts:"
HEXADECIMAL = re.compile(r"[0-9a-f]{64}")
NUMBER = re.compile(r"[0-9]{1,20}")
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow says of a model or a run, and (the second) of an alias, that it does not have."""


@dataclass(frozen=True)
class Version:
    """One version of a registered model.

    digest: of its candidate, as its tag says
    signer: id of the key that signed it last; empty for none
    promotion: sequence of the entry that made it champion last; empty for none
    """

    name: str
    number: str
    digest: str
    run: str
    signer: str
    promotion: str = ""

    @property
    def key(self) -> str:
        """A name for a copy: another one for every other content."""
        promoted = f"-{self.promotion}" if self.promotion else ""
        return f"{self.digest}-{self.number}-{self.signer[:16] or 'unsigned'}{promoted}"


class _Tag(BaseModel):
    key: str
    value: str = ""


class _ModelVersion(BaseModel):
    version: str
    run_id: str = ""
    tags: tuple[_Tag, ...] = ()


class _Alias(BaseModel):
    """What MLflow answers when it is asked for an alias, as far as it is used."""

    model_version: _ModelVersion


class _Info(BaseModel):
    artifact_uri: str


class _Run(BaseModel):
    info: _Info


class _FoundRun(BaseModel):
    """What MLflow answers when it is asked for a run, as far as it is used."""

    run: _Run


Answer = TypeVar("Answer", bound=BaseModel)


class TrackingServer:
    """An MLflow tracking server that hands out the artifacts itself."""

    def __init__(self, uri: str, credentials: Credentials) -> None:
        """Raises InputError when `uri` is no HTTP address."""
        if not is_address(uri):
            raise InputError(
                "serving.model.origin is registry, which needs the HTTP address of a tracking server; "
                "set MLFLOW_TRACKING_URI to http(s)://host:port, or serve a folder"
            )
        self._web = Web(uri, credentials)

    def version(self, name: str, alias: str) -> Version:
        """The version that `alias` points to. Raises LoadError: missing, mismatch or unreachable."""
        answer = self._ask("registered-models/alias", _Alias, name=name, alias=alias)
        if answer is None:
            raise LoadError(f"{name} has no {alias} at {self._web.place}; run `wattline promote`", reason="missing")
        found = answer.model_version
        tags = {tag.key: tag.value for tag in found.tags}
        number, digest, signer = found.version, tags.get(DIGEST, ""), tags.get(KEY, "")
        promotion = tags.get(PROMOTION, "")
        # They become names of files and parts of addresses.
        if (
            not NUMBER.fullmatch(number)
            or not HEXADECIMAL.fullmatch(digest)
            or not HEXADECIMAL.fullmatch(signer or digest)
            or not NUMBER.fullmatch(promotion or number)
        ):
            raise LoadError(
                f"version {number[:20]} of {name} has no digest in its tag {DIGEST}; register the candidate again",
                reason="mismatch",
            )
        return Version(name, number, digest, found.run_id, signer, promotion)

    def artifacts(self, version: Version) -> str:
        """Where the artifacts of a version's run lie below the server's proxy. Raises LoadError."""
        answer = self._ask("runs/get", _FoundRun, run_id=version.run)
        path = _path(answer.run.info.artifact_uri, self._web.host) if answer else None
        if path is None:
            raise LoadError(
                f"{self._web.place} keeps the files of version {version.number} of {version.name} where it does not "
                "hand them out; start `mlflow server` with --artifacts-destination",
                reason="missing",
            )
        return path

    def download(self, path: str, target: Path, *, limit: int) -> None:
        """Write the artifact at `path` to `target`.

        limit: most bytes that are taken
        Raises LoadError: missing, mismatch, digest where it is too large, or unreachable.
        """
        if ".." in path.split("/"):
            raise LoadError(
                f"{self._web.place} names an artifact {path[:100]!r} outside of its folder", reason="mismatch"
            )
        status = self._web.download(f"api/2.0/mlflow-artifacts/artifacts/{quote(path)}", target, limit=limit)
        if status == 404:
            raise LoadError(
                f"{self._web.place} holds no artifact {path}; register the candidate again", reason="missing"
            )
        self._demand(status)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def _ask(self, call: str, kind: type[Answer], **query: str) -> Answer | None:
        """The answer to a call; None where what was asked for does not exist."""
        status, answer = self._web.json(f"api/2.0/mlflow/{call}", query)
        if status in (400, 404) and answer.get("error_code") in ABSENT:
            return None
        self._demand(status)
        try:
            return kind.model_validate(answer)
        except ValidationError:
            raise LoadError(
                f"{self._web.place} did not answer {call} as MLflow does; correct MLFLOW_TRACKING_URI",
                reason="unreachable",
            ) from None

    def _demand(self, status: int) -> None:
        if status != 200:
            raise LoadError(
                f"{self._web.place} refused with status {status}; check MLFLOW_TRACKING_URI and its credentials",
                reason="unreachable",
            )


def _path(artifact_uri: str, host: str | None) -> str | None:
    """Path below the proxy of the server at `host`; None for what is elsewhere."""
    try:
        address = urlsplit(artifact_uri)
        here = artifact_uri.startswith(SCHEME) and address.hostname in (None, host)
    except ValueError:
        return None
    return address.path.strip("/") if here else None
