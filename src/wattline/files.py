"""Files on disk: written whole or not at all, and known by their digests."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from wattline.errors import InputError, IntegrityError
from wattline.records import Record

if TYPE_CHECKING:
    import pyarrow

    from wattline.task import Series

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
CANDIDATE = Path("models/candidate")
CHAMPION = Path("champion")
EARLIER = Path("earlier")
REPORTS = Path("reports")
CARDS = Path("model_cards")
DATASET_CARD = Path("data/croissant.json")
"""Above both folders that it describes: what reads it looks for their files from there."""

PIECE_BYTES = 4 << 20
"""Rows that are read at a time from a file that may be larger than the memory."""

AnyRecord = TypeVar("AnyRecord", bound=Record)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step: a reader sees the old file or the new one, never a part."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step. Raises InputError where it is no file: a device would be one then."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} cannot be written: it is no regular file; name another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, content, temporary=path.with_name(f".{path.name}.{os.getpid()}"))


def put(path: Path, content: bytes, *, temporary: Path) -> None:
    """Replace `path` by `content` in one step, by way of `temporary` in the same folder, which must be there."""
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_directory(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of `path` when the block ends well, and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    former = path.with_name(f".{path.name}.{os.getpid()}.former")
    # What a killed process of the same number left: in a container, every run may have that number.
    _settle(path, former, fresh)
    fresh.mkdir()
    try:
        yield fresh
        if path.exists():
            path.rename(former)
        fresh.rename(path)
    finally:
        _settle(path, former, fresh)


def _settle(path: Path, former: Path, fresh: Path) -> None:
    """Leave only `path`: what it held before where nothing took its place."""
    if former.exists() and not path.exists():
        former.rename(path)
    shutil.rmtree(former, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def held(path: Path, *, refusal: Exception) -> Iterator[int]:
    """Hold the lock `path`, which one process at a time has, and give its descriptor: who inherits it holds it, too.

    Raises `refusal` where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield lock.fileno()


def link(source: str | Path, target: str | Path) -> None:
    """The same bytes at `target`: a hard link, or a copy on another file system."""
    real = Path(source).resolve()
    try:
        Path(target).hardlink_to(real)
    except OSError:
        shutil.copyfile(real, target)


def sha256(path: Path) -> str:
    """Digest of one file's bytes. Raises IntegrityError when it is not there."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing; run `dvc repro` to make it") from None


def digests(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file below `folder`, sorted by path."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    }


def directory_digest(folder: Path) -> str:
    """One SHA-256 over names and bytes of all files below `folder`."""
    lines = [f"{name} {digest}" for name, digest in digests(folder).items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def sources_digest(*folders: Path) -> str:
    """One SHA-256 over names and bytes of all Python sources below `folders`."""
    sources = [(folder, path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    lines = [f"{path.relative_to(folder)} {sha256(path)}" for folder, path in sources]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def report_path(stage: str) -> Path:
    return REPORTS / f"{stage}.json"


def write_report(stage: str, record: Record) -> None:
    """Write `reports/<stage>.json`."""
    write_text(report_path(stage), record.to_json())


def read_report(stage: str, kind: type[AnyRecord]) -> AnyRecord:
    """Read `reports/<stage>.json`. Raises InputError when it is absent or is not a `kind`."""
    return read_record(report_path(stage), kind)


def read_record(path: Path, kind: type[AnyRecord]) -> AnyRecord:
    """Read a record from a JSON file. Raises InputError when it is absent or is not a `kind`."""
    try:
        return kind.from_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run `dvc repro` to make it") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} is not a {kind.__name__} record: {place or 'file'}: {first['msg']}") from None


def write_table(path: Path, table: "pyarrow.Table") -> str:
    """Write Parquet and return its SHA-256."""
    return write_new(path, table_bytes(table))


def table_bytes(table: "pyarrow.Table") -> bytes:
    """Parquet (zstd, no writer-dependent metadata). Equal tables give equal bytes."""
    import pyarrow
    from pyarrow import parquet

    stream = pyarrow.BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata(None), stream, compression="zstd", compression_level=3)
    return bytes(stream.getvalue())


def write_new(path: Path, content: bytes) -> str:
    """Write a file of a folder that nobody reads yet, and return its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def write_series(folder: Path, series: "Series", columns: Iterable[str]) -> str:
    """Write one unit's rows as `<folder>/<unit>.parquet` and return its SHA-256."""
    return write_new(folder / f"{series.unit}.parquet", series_bytes(series, columns))


def series_bytes(series: "Series", columns: Iterable[str]) -> bytes:
    """One unit's rows as Parquet."""
    import pyarrow

    arrays: dict[str, pyarrow.Array] = {
        "timestamp": pyarrow.array(series.timestamps.astype("datetime64[us]"), type=pyarrow.timestamp("us", tz="UTC"))
    }
    for index, name in enumerate(columns):
        arrays[name] = pyarrow.array(series.values[:, index], type=pyarrow.float32())
    arrays["target"] = pyarrow.array(series.target, type=pyarrow.float64())
    return table_bytes(pyarrow.table(arrays))


def read_series(path: Path, columns: Iterable[str], *, group: str, history: int = 0) -> "Series":
    """Read what `write_series` wrote.

    history: how many rows lead those that are judged
    """
    from pyarrow import parquet

    # `parquet.read_table` takes twice as long for a small file, and makes a column of a folder called `day=2026-03-01`.
    with parquet.ParquetFile(path) as file:
        return _series(file.read(use_threads=False), path, columns, group=group, history=history)


def read_pieces(path: Path, columns: Iterable[str], *, group: str) -> Iterator["Series"]:
    """The same rows some at a time, for files that are larger than the memory."""
    import pyarrow
    from pyarrow import parquet

    names = list(columns)
    # Without a buffer, which each column has, a whole group of rows would be read at once.
    with parquet.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=max(1, PIECE_BYTES // (4 * len(names) + 16)), use_threads=False):
            yield _series(pyarrow.Table.from_batches([batch]), path, names, group=group)


def _series(table: "pyarrow.Table", path: Path, columns: Iterable[str], *, group: str, history: int = 0) -> "Series":
    import numpy as np

    from wattline.task import Series

    return Series(
        unit=path.stem,
        group=group,
        timestamps=table["timestamp"].to_numpy().astype("datetime64[ns]"),
        values=np.stack([table[name].to_numpy() for name in columns], axis=1).astype(np.float32, copy=False),
        target=table["target"].to_numpy(),
        history=history,
    )
