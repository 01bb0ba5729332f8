"""Where the registered bytes of an output can still be found, to say by how much new ones differ."""

from collections.abc import Mapping
from pathlib import Path

from wattline import files, objects
from wattline.objects import Cache
from wattline.reproduction.pipeline import Output

EVIDENCE = {"candidate": files.CANDIDATE, "reports": files.REPORTS, "cards": files.CARDS}
"""Folders of what was registered, and where they lie in a project."""


class Originals:
    """A search in DVC's cache and in folders that look like the project. Only bytes with the recorded MD5 count."""

    def __init__(self, cache: Cache, folders: tuple[Path, ...]) -> None:
        self.cache = cache
        self.folders = folders

    def find(self, output: Output) -> Mapping[str, Path]:
        """Files of `output` as registered: path below it ("." for a file) -> where it lies. Empty: they are gone."""
        for folder in self.folders:
            path = folder / output.path
            if path.exists() and objects.digest(path) == output.md5:
                return contents(path)
        return self._cached(output.md5)

    def _cached(self, md5: str) -> dict[str, Path]:
        entries = {".": md5}
        if md5.endswith(objects.FOLDER):
            entries = self.cache.entries(md5) or {}
        places = {name: self.cache.object(one) for name, one in entries.items()}
        return {
            name: path for name, path in places.items() if path.is_file() and objects.file_digest(path) == entries[name]
        }


def contents(path: Path) -> dict[str, Path]:
    """Every file of an output by its path below it; "." for an output that is a file."""
    if path.is_dir():
        return {name: path / name for name in objects.listing(path)}
    return {".": path} if path.is_file() else {}


def arranged(evidence: Path, folder: Path) -> Path:
    """Links below `folder` that give what was registered the paths that it has in a project."""
    for name, place in EVIDENCE.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).symlink_to((evidence / name).resolve())
    return folder
