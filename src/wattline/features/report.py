"""Point-in-time features of stored rows, for people and for other programs."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wattline import files, quarantine, splits
from wattline.errors import InputError
from wattline.features.asof import Features, as_of
from wattline.records import Dataset, Manifest, Signature
from wattline.times import as_datetime64

if TYPE_CHECKING:
    import pyarrow


def run(instant: str, *, units: Sequence[str], steps: int | None, out: Path | None, say: Callable[[str], None]) -> None:
    """Write the features of `units` as of `instant`, an ISO 8601 time with an offset; of all units where none is named.

    steps: rows for each unit; null: as many as the candidate's signature says
    out: a Parquet file of unit, timestamp and the columns; otherwise one JSON object a row goes to `say`
    Raises InputError for an instant without an offset, an unknown unit, and one that has no row by then.
    """
    then = _instant(instant)
    dataset, manifest = splits.read_dataset(), splits.read_manifest()
    if dataset.id != manifest.data:
        raise InputError(f"{files.PREPARED} was made of other rows than {files.RAW} holds; run `dvc repro prepare`")
    wanted = steps or files.read_record(files.CANDIDATE / "signature.json", Signature).steps
    taken = quarantine.read(dataset)
    found = [
        as_of(
            quarantine.without_quarantined(splits.read_raw(dataset, unit), quarantine.places(unit, taken)),
            manifest,
            instant=then,
            steps=wanted,
        )
        for unit in _chosen(units, dataset)
    ]
    if out is None:
        for features in found:
            for line in _lines(features, manifest):
                say(line)
        return
    files.write_bytes(out, files.table_bytes(_table(found, manifest)))
    say(f"{out}: {len(found)} units, {wanted} rows each, as of {then}Z")


def _instant(text: str) -> np.datetime64:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--as-of {text!r} is no ISO 8601 time; write it like 2026-01-05T12:00:00Z") from None
    if parsed.utcoffset() is None:
        raise InputError(f"--as-of {text!r} has no offset from UTC; write it like {parsed.isoformat()}Z")
    return as_datetime64(parsed)


def _chosen(units: Sequence[str], dataset: Dataset) -> Sequence[str]:
    known = [unit.name for unit in dataset.units]
    for unit in units:
        if unit not in known:
            raise InputError(f"--unit {unit!r} is not in {files.RAW}; it has {', '.join(known[:8])}")
    return units or known


def _lines(features: Features, manifest: Manifest) -> list[str]:
    names = [column.name for column in manifest.columns]
    return [
        json.dumps(
            {"unit": features.unit, "timestamp": f"{when.astype('datetime64[ms]')}Z"}
            | {name: None if math.isnan(value) else value for name, value in zip(names, row.tolist(), strict=True)}
        )
        for when, row in zip(features.timestamps, features.values, strict=True)
    ]


def _table(found: Sequence[Features], manifest: Manifest) -> "pyarrow.Table":
    import pyarrow

    columns: dict[str, pyarrow.Array] = {
        "unit": pyarrow.array([features.unit for features in found for _ in features.timestamps]),
        "timestamp": pyarrow.array(
            np.concatenate([features.timestamps for features in found]).astype("datetime64[us]"),
            type=pyarrow.timestamp("us", tz="UTC"),
        ),
    }
    values = np.concatenate([features.values for features in found])
    columns |= {column.name: pyarrow.array(values[:, place]) for place, column in enumerate(manifest.columns)}
    return pyarrow.table(columns)
