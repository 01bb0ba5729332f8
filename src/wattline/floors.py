"""Lowest versions of libraries with known holes, checked before they are imported."""

import re
from collections.abc import Mapping
from importlib import metadata

from wattline.errors import InputError

FLOORS: Mapping[str, tuple[str, str]] = {
    "mlflow": ("3.11", "older ones read files of the server through a crafted source (CVE-2026-2614)"),
    "torch": ("2.10", "older ones run code from a checkpoint even with weights_only (CVE-2026-24747)"),
    "onnx": ("1.21", "older ones follow links out of a model's folder (CVE-2026-27489, CVE-2026-34445)"),
    "pyarrow": ("23.0.1", "the Arrow library in older ones uses freed memory on a crafted file (CVE-2026-25087)"),
    "cryptography": ("46.0.5", "older ones accept points outside of a curve's subgroup (CVE-2026-26007)"),
}
"""Package -> lowest version that is used, and why."""
RELEASE = re.compile(r"(?:\d+!)?(\d+(?:\.\d+)*)(.*)")
UNFINISHED = re.compile(r"[._-]?(?:a|b|c|rc|alpha|beta|pre|preview|dev)[._-]?\d*")


def check(*packages: str) -> None:
    """Raise InputError naming the first of `packages` that is older than its floor; one that is absent is no risk.

    Only the metadata of what is installed is read.
    """
    for package in packages:
        floor, reason = FLOORS[package]
        try:
            found = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        if is_below(found, floor):
            raise InputError(
                f"{package} {found} is installed, Wattline needs {floor} or later: {reason}; "
                f"run `make setup`, or `pip install '{package}>={floor}'`"
            )


def is_below(version: str, floor: str) -> bool:
    """Whether `version` is older than the release `floor`; one that cannot be read is. A pre-release of it is older."""
    parsed = RELEASE.match(version)
    if parsed is None:
        return True
    found, wanted = _numbers(parsed[1]), _numbers(floor)
    return found < wanted or (found == wanted and UNFINISHED.match(parsed[2]) is not None)


def _numbers(release: str) -> tuple[int, ...]:
    """Parts of a release without zeros at its end, which mean nothing: 3.11 is 3.11.0."""
    return tuple(int(part) for part in re.sub(r"(\.0+)+\Z", "", release).split("."))
