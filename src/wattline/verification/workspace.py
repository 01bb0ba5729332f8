"""Files of the project held against what is on record of them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from wattline import objects
from wattline.verification.hashes import Hashes
from wattline.verification.problem import Problem

Entries = Mapping[str, str]
"""Path below a folder -> MD5, as the listing of that folder has it."""


def intact(path: Path, md5: str, *, hashes: Hashes | None = None) -> bool:
    """Whether a file or folder is what is on record: the quick question, before each use.

    Files that .dvcignore names are left out as DVC leaves them out.
    """
    found = contents(path, hashes or Hashes())
    return _digest(path, found) == md5 or _digest(path, kept(path, found)) == md5


def contents(path: Path, hashes: Hashes) -> dict[Path, str]:
    """MD5 of every file at or below `path`."""
    files = [one for one in sorted(path.rglob("*")) if one.is_file()] if path.is_dir() else [path]
    return hashes.of(files)


def kept(path: Path, found: Mapping[Path, str]) -> dict[Path, str]:
    """What of these files DVC looks at."""
    ignores = _ignores() if path.is_dir() else None
    return {one: md5 for one, md5 in found.items() if ignores is None or not ignores(one)}


def problems(path: Path, md5: str, *, hashes: Hashes, entries: Entries | None, by: str, home: Path) -> list[Problem]:
    """Whatever at `path` is not what is on record; the folder as a whole where no listing of it is known.

    entries: the sound listing of the folder, where the cache has it
    by: stage or .dvc file that has it on record
    home: DVC's cache, to which alone links may lead
    """
    found = contents(path, hashes)
    strange = [_strange(one, output=path, md5=found[one]) for one in found if _leads_away(one, home)]
    if strange or md5 in (_digest(path, found), _digest(path, found := kept(path, found))):
        return strange
    if entries is None or not path.is_dir():
        actual = _digest(path, found)
        return [Problem(str(path), str(path), expected=md5, found=actual, remedy=_remedy(path, by))]
    here = {one.relative_to(path).as_posix(): digest for one, digest in found.items()}
    return [
        Problem(
            str(path / name),
            str(path),
            expected=entries.get(name, ""),
            found=here.get(name, ""),
            remedy=_remedy(path / name if name in here else path, by, restored=path),
        )
        for name in sorted(entries.keys() | here.keys())
        if entries.get(name) != here.get(name)
    ]


def digest(path: Path) -> str:
    """What a record would say of a file or folder."""
    return _digest(path, kept(path, contents(path, Hashes())))


def _digest(path: Path, found: Mapping[Path, str]) -> str:
    if not path.is_dir():
        return found.get(path, "")
    return objects.listing_digest({one.relative_to(path).as_posix(): md5 for one, md5 in found.items()})


def _remedy(path: Path, by: str, *, restored: Path | None = None) -> str:
    return f"remove {path} and run `dvc checkout {restored or path}`, or `dvc commit {by}` where it is meant"


def _leads_away(path: Path, home: Path) -> bool:
    return path.is_symlink() and not path.resolve().is_relative_to(home.resolve())


def _strange(path: Path, *, output: Path, md5: str) -> Problem:
    return Problem(
        str(path),
        str(output),
        expected="",
        found=md5,
        cause=f"is a link to {path.resolve()}, which is not in DVC's cache, so that nothing keeps it as it is",
        remedy=f"remove {path} and run `dvc checkout {output}`",
    )


def _ignores() -> Callable[[Path], bool]:
    """Whether .dvcignore names a file. DVC's import takes a second, so it is asked only where bytes differ."""
    from dvc.fs import LocalFileSystem
    from dvc.ignore import DvcIgnoreFilter

    root = Path.cwd()
    ignored = DvcIgnoreFilter(LocalFileSystem(url=str(root)), str(root))
    return lambda path: bool(ignored.is_ignored_file(str(path.absolute())))
