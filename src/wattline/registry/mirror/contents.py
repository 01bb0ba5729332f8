"""What a version consists of for GitLab: files, tags and figures, within the limits that GitLab sets."""

import hashlib
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from wattline import files, signing
from wattline.errors import InputError, IntegrityError
from wattline.registry import tracking
from wattline.registry.evidence import Evidence, check_bytes, check_kinds, read

CONTENT = "wattline.content"
"""Tag of a version in GitLab: digest over names and digests of all its files."""
VERSION = "gitlab.version"
NAME = re.compile(r"[A-Za-z0-9._+ -]+")
"""What GitLab takes as the name of a file."""
LONGEST_TAG = 5000
LONGEST_PARAM = 250


@dataclass(frozen=True)
class Contents:
    """One version.

    number: its SemVer in GitLab
    tags, params, metrics: what GitLab can hold of them
    digests: path -> SHA-256
    sources: path -> opens that file
    """

    name: str
    version: str
    number: str
    digests: Mapping[str, str]
    sources: Mapping[str, Callable[[], BinaryIO]]
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def digest(self) -> str:
        lines = [f"{name} {digest}" for name, digest in sorted(self.digests.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def semantic(version: str) -> str:
    """SemVer of a version: n is n.0.0, as each is another model. Raises InputError when it is no number from 1 on."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise InputError(f"{version!r} is no version of the registry, which are 1, 2, 3 ...; name one of them")
    return f"{version}.0.0"


def gather(
    folder: Path,
    statement: bytes,
    *,
    name: str,
    version: str,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    metrics: Mapping[str, float],
) -> Contents:
    """Everything of a version, checked. Raises InputError or IntegrityError when GitLab must not be given it."""
    number = semantic(version)
    evidence = read(folder)
    check_kinds(folder / "candidate")
    check_bytes(folder / "candidate", evidence.candidate)
    if tags.get(tracking.DIGEST) != evidence.candidate.digest:
        said = tags.get(tracking.DIGEST, "nothing")[:12]
        raise IntegrityError(
            f"the folder holds candidate {evidence.candidate.digest[:12]}, the version's tag says {said}"
        )
    digests = files.digests(folder) | {signing.FILE: hashlib.sha256(statement).hexdigest()}
    _check_names(folder, digests)
    sources: dict[str, Callable[[], BinaryIO]] = {path: partial(_open, folder / path) for path in digests}
    sources[signing.FILE] = partial(io.BytesIO, statement)
    return Contents(
        name=name,
        version=version,
        number=number,
        digests=digests,
        sources=sources,
        tags=_fitting(tags),
        params={key: _cut(value) for key, value in params.items() if key and value},
        metrics={key: one for key, one in (_figures(evidence) | dict(metrics)).items() if math.isfinite(one)},
    )


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _check_names(folder: Path, names: Mapping[str, str]) -> None:
    for name in names:
        if not all(NAME.fullmatch(part) and part.strip(".") for part in Path(name).parts):
            raise InputError(f"{name!r} is no name of a file that GitLab takes (letters, digits, . _ + -); rename it")
        if (folder / name).is_symlink():
            raise InputError(f"{name} is a link, only files may be published; replace it")


def _fitting(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without empty ones, which GitLab does not take, and without those that GitLab gives a meaning."""
    for name, value in tags.items():
        if len(value) > LONGEST_TAG or len(name) > LONGEST_PARAM:
            raise InputError(f"tag {name[:60]} has {len(value)} characters, GitLab takes {LONGEST_TAG}; shorten it")
    return {name: value for name, value in tags.items() if name and value and not name.startswith("gitlab.")}


def _cut(value: str) -> str:
    return value if len(value) <= LONGEST_PARAM else value[: LONGEST_PARAM - 3] + "..."


def _figures(evidence: Evidence) -> dict[str, float]:
    """Scores and costs of the candidate, as its reports say them."""
    cost = evidence.measurement.candidate
    scores = {name: score.value for name, score in evidence.evaluation.contenders["candidate"].items()}
    return scores | {
        "parameters": float(evidence.candidate.parameters),
        "latency_p99_ms": cost.latency_p99_ms,
        "energy_per_1000_joules": cost.energy_per_1000.joules,
    }
