"""SHA-256 of every downloaded file, committed with the project: {dataset: {path: digest}}."""

import json
from pathlib import Path

from wattline import files
from wattline.errors import InputError

FILE = Path("data/checksums.json")


def pinned(dataset: str, path: str) -> str | None:
    """The digest that `path` of `dataset` must have; None where none is recorded yet."""
    return _read().get(dataset, {}).get(path)


def pin(dataset: str, path: str, digest: str) -> None:
    """Record what `path` of `dataset` is from now on."""
    recorded = _read()
    recorded.setdefault(dataset, {})[path] = digest
    files.write_text(FILE, json.dumps(recorded, indent=2, sort_keys=True) + "\n")


def _read() -> dict[str, dict[str, str]]:
    if not FILE.exists():
        return {}
    try:
        recorded = json.loads(FILE.read_bytes())
        return {name: {str(path): str(digest) for path, digest in of.items()} for name, of in recorded.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{FILE} must map datasets to paths to SHA-256 digests: {error}; restore it from git"
        ) from None
