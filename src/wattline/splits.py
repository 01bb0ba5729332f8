"""Raw and prepared rows as stages read them: verified against their digests before any of them is used."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from wattline import files
from wattline.errors import IntegrityError
from wattline.records import Column, Dataset, Manifest, UnitRows
from wattline.task import Constants, Series, Split, TrainingData

DATASET = "dataset.json"
MANIFEST = "manifest.json"
CONSTANTS = "constants.safetensors"


def read_dataset(folder: Path = files.RAW) -> Dataset:
    """Read the record of the raw rows."""
    return files.read_record(folder / DATASET, Dataset)


def read_raw(dataset: Dataset, unit: str, *, folder: Path = files.RAW) -> Series:
    """Rows of one unit as `ingest` wrote them. Raises IntegrityError when its bytes are not those it recorded."""
    record = next(record for record in dataset.units if record.name == unit)
    return read_unit(record, dataset.columns, folder=folder)


def read_unit(unit: UnitRows, columns: Iterable[Column], *, folder: Path = files.RAW) -> Series:
    """The same, for who knows one unit's record and not the whole dataset's."""
    path = folder / f"{unit.name}.parquet"
    verify(path, unit.sha256, maker="ingest")
    return files.read_series(path, [column.name for column in columns], group=unit.group)


def read_unit_pieces(unit: UnitRows, columns: Iterable[Column], *, folder: Path = files.RAW) -> Iterator[Series]:
    """The same, some rows at a time, for a unit that is larger than the memory."""
    path = folder / f"{unit.name}.parquet"
    verify(path, unit.sha256, maker="ingest")
    yield from files.read_pieces(path, [column.name for column in columns], group=unit.group)


def read_manifest(folder: Path = files.PREPARED) -> Manifest:
    """Read the record of the prepared rows."""
    return files.read_record(folder / MANIFEST, Manifest)


def read_split(split: str, *, folder: Path = files.PREPARED) -> Split:
    """Rows of one split by unit. Raises IntegrityError when their bytes are not those that `prepare` recorded."""
    manifest = read_manifest(folder)
    names = [column.name for column in manifest.columns]
    series = {}
    for part in manifest.parts:
        if part.split == split:
            path = folder / split / f"{part.unit}.parquet"
            verify(path, manifest.files[f"{split}/{part.unit}.parquet"], maker="prepare")
            series[part.unit] = files.read_series(path, names, group=part.group, history=part.history)
    return series


def read_training_data(folder: Path = files.PREPARED) -> TrainingData:
    """All that training may see: train and validation rows, and the constants fitted on train rows."""
    manifest = read_manifest(folder)
    train = read_split("train", folder=folder)
    return TrainingData(
        train=train,
        validation=with_history(read_split("validation", folder=folder), train),
        columns=manifest.columns,
        cadence_seconds=manifest.cadence_seconds,
        constants=read_constants(folder),
    )


def read_test(folder: Path = files.PREPARED) -> Split:
    """Test rows, each unit with the validation rows before it as history for its first windows."""
    return with_history(read_split("test", folder=folder), read_split("validation", folder=folder))


def with_history(split: Split, earlier: Split) -> Split:
    """Put the rows of `earlier` before those of `split`, as context that is not judged."""
    joined = {}
    for unit, series in split.items():
        before = earlier[unit]
        joined[unit] = Series(
            unit=unit,
            group=series.group,
            timestamps=np.concatenate([before.timestamps, series.timestamps]),
            values=np.concatenate([before.values, series.values]),
            target=np.concatenate([before.target, series.target]),
            history=len(before.timestamps) + series.history,
        )
    return joined


def write_constants(path: Path, constants: Constants) -> str:
    """Write `constants` as safetensors and return the file's SHA-256."""
    from safetensors.numpy import save

    tensors = {
        "center": constants.center,
        "scale": constants.scale,
        "pooled_center": constants.pooled_center,
        "pooled_scale": constants.pooled_scale,
    }
    files.write_bytes(path, save(tensors))
    return files.sha256(path)


def read_constants(folder: Path = files.PREPARED) -> Constants:
    """Read what `write_constants` wrote."""
    from safetensors.numpy import load

    manifest = read_manifest(folder)
    verify(folder / CONSTANTS, manifest.files[CONSTANTS], maker="prepare")
    return Constants(units=tuple(manifest.units()), **load((folder / CONSTANTS).read_bytes()))


def verify(path: Path, expected: str, *, maker: str) -> None:
    """Raise IntegrityError when the bytes of `path` are not those that the stage `maker` recorded."""
    found = files.sha256(path)
    if found != expected:
        raise IntegrityError(
            f"{path} has SHA-256 {found[:12]}..., recorded was {expected[:12]}...; "
            f"it was changed after `{maker}` wrote it: `dvc repro --force {maker}` makes it anew"
        )
