"""prepare: put samples on one time axis, cut rows by time, and fit location and spread on the train part alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wattline import files, grid, quarantine, splits, windows, workers
from wattline.errors import InputError
from wattline.moments import Fit, Moments, fit
from wattline.params import PrepareParams
from wattline.progress import progress
from wattline.records import Axis, Column, Dataset, Manifest, Part, Quarantine, Record, UnitRows
from wattline.task import Series, Task
from wattline.times import EPOCH, as_datetime, as_datetime64

SPLITS = ("train", "validation", "test")


class Preparation(Record):
    """Outcome of `prepare`, as `dvc metrics` shows it.

    quarantined: rows that validation took out and that are left out here
    """

    data: str
    units: int
    rows: dict[str, int]
    missing_share: float
    quarantined: int


@dataclass(frozen=True)
class Cutting:
    """What a worker is to know of one unit.

    cadence_seconds: of the raw rows [s]
    origin: from which all units count their steps
    instants: first ones of validation and test, (2,) datetime64[ns]
    left_out: places of rows that validation took out
    """

    unit: UnitRows
    columns: tuple[Column, ...]
    cadence_seconds: float
    origin: np.datetime64
    instants: NDArray[np.datetime64]
    left_out: quarantine.Positions


@dataclass(frozen=True)
class Prepared:
    """What a worker makes of one unit.

    contents: split -> its rows as Parquet
    fit: of its train rows
    missing: rows of the three parts without any value
    """

    parts: tuple[Part, ...]
    contents: Mapping[str, bytes]
    fit: Fit
    missing: int


def run(*, prepare: PrepareParams, task: Task) -> None:
    """Write data/prepared/{train,validation,test}, the fitted constants and the split manifest."""
    dataset = splits.read_dataset()
    taken = quarantine.read(dataset)
    dataset = dataset.model_copy(update={"units": quarantine.remaining(dataset.units, taken)})
    parts: list[Part] = []
    digests: dict[str, str] = {}
    moments = Moments()
    missing = 0
    cuttings = ((unit.name, _cutting(unit, dataset, prepare, taken)) for unit in dataset.units)
    work = partial(prepared, task=task, prepare=prepare)
    with files.replace_directory(files.PREPARED) as folder:
        with progress("prepare") as report, workers.each(work, cuttings, title="prepare") as results:
            for unit in results:
                digests |= _write(folder, unit)
                parts += unit.parts
                moments.take(unit.fit)
                missing += unit.missing
                report(unit.fit.unit, len(parts) / (len(SPLITS) * len(dataset.units)), {})
        check_order(parts, moments)
        check_variation(moments)
        digests[splits.CONSTANTS] = splits.write_constants(folder / splits.CONSTANTS, moments.constants())
        manifest = _manifest(dataset, prepare, parts, digests)
        files.write_text(folder / splits.MANIFEST, manifest.to_json())
    files.write_report("prepare", _summary(manifest, missing, taken.rows))


def _cutting(unit: UnitRows, dataset: Dataset, prepare: PrepareParams, taken: Quarantine) -> Cutting:
    instants, left_out = grid.boundaries(unit, dataset, prepare), quarantine.places(unit.name, taken)
    return Cutting(unit, dataset.columns, dataset.cadence_seconds, grid.origin(dataset), instants, left_out)


def prepared(cutting: Cutting, *, task: Task, prepare: PrepareParams) -> Prepared:
    """Put the samples of one unit on the time axis, cut its rows, and look at those to train on.

    Raises IntegrityError when its file is not what `ingest` wrote, InputError when its rows cannot be used.
    """
    series = on_axis(cutting, prepare)
    judged = {}
    for split, rows in zip(SPLITS, grid.cut(series, cutting.instants, gap=prepare.gap_steps), strict=True):
        check_rows(rows, split, minimum=prepare.minimum_rows)
        judged[split] = with_target(rows, task)
    names = [column.name for column in columns_of(cutting.columns, prepare)]
    return Prepared(
        parts=tuple(_part(rows, split) for split, rows in judged.items()),
        contents={split: files.series_bytes(rows, names) for split, rows in judged.items()},
        fit=fit(judged["train"]),
        missing=sum(int(np.isnan(rows.judged().values).all(axis=1).sum()) for rows in judged.values()),
    )


def on_axis(cutting: Cutting, prepare: PrepareParams) -> Series:
    """Samples of one unit as rows at the instants that all units share. For windows they need not fit into memory."""
    chosen = prepare.windows
    if chosen is None:
        raw = quarantine.without_quarantined(splits.read_unit(cutting.unit, cutting.columns), cutting.left_out)
        return grid.on_grid(raw, cadence_seconds=cutting.cadence_seconds, origin=cutting.origin)
    pieces = quarantine.pieces_without(splits.read_unit_pieces(cutting.unit, cutting.columns), cutting.left_out)
    return windows.windowed_pieces(pieces, seconds=chosen.seconds, statistics=chosen.statistics)


def columns_of(columns: tuple[Column, ...], prepare: PrepareParams) -> tuple[Column, ...]:
    """Columns of the rows that raw `columns` become."""
    return columns if prepare.windows is None else windows.columns_of(columns, prepare.windows.statistics)


def _write(folder: Path, unit: Prepared) -> dict[str, str]:
    """Digests of the files that hold one unit."""
    names = {f"{split}/{unit.fit.unit}.parquet": content for split, content in unit.contents.items()}
    return {name: files.write_new(folder / name, content) for name, content in names.items()}


def check_rows(rows: Series, split: str, *, minimum: int) -> None:
    """Raise InputError when a unit has too few rows in a split to be learnt from or judged."""
    recorded = int((~np.isnan(rows.judged().values).all(axis=1)).sum())
    if recorded < minimum:
        raise InputError(
            f"unit {rows.unit} has {recorded} recorded rows in {split}, prepare.minimum_rows is {minimum}; "
            "leave the unit out, collect a longer span, or lower the minimum"
        )


def with_target(rows: Series, task: Task) -> Series:
    """Ask the task what each row is judged against. It sees the judged rows of one split, and nothing else."""
    target = np.asarray(task.target(rows.judged()), dtype=np.float64)
    if target.shape != (len(rows),):
        raise InputError(f"task.target gave shape {target.shape} for {len(rows)} rows of unit {rows.unit}")
    target = np.concatenate([np.full(rows.history, np.nan), target])
    return Series(rows.unit, rows.group, rows.timestamps, rows.values, target, rows.history)


def check_variation(moments: Moments) -> None:
    """Raise InputError when no column of any unit varies in train: there is nothing to learn from."""
    if not moments.varies:
        raise InputError("every column is constant in the train part of every unit; look at the source of the rows")


def _part(rows: Series, split: str) -> Part:
    start, end = (as_datetime(instant) for instant in rows.timestamps[[rows.history, -1]])
    return Part.model_validate(
        {
            "unit": rows.unit,
            "group": rows.group,
            "split": split,
            "rows": len(rows),
            "start": start,
            "end": end,
            "history": rows.history,
        }
    )


def _manifest(dataset: Dataset, prepare: PrepareParams, parts: list[Part], digests: dict[str, str]) -> Manifest:
    return Manifest(
        data=dataset.id,
        dataset=dataset.name,
        cadence_seconds=dataset.cadence_seconds if prepare.windows is None else prepare.windows.seconds,
        columns=columns_of(dataset.columns, prepare),
        axis=_axis(dataset, prepare),
        parts=tuple(parts),
        files=dict(sorted(digests.items())),
    )


def _axis(dataset: Dataset, prepare: PrepareParams) -> Axis:
    chosen = prepare.windows
    if chosen is None:
        return Axis(origin=as_datetime(grid.origin(dataset)))
    return Axis(
        origin=EPOCH,
        window_seconds=chosen.seconds,
        statistics=chosen.statistics,
        raw_columns=dataset.columns,
    )


def _summary(manifest: Manifest, missing: int, quarantined: int) -> Preparation:
    rows = {split: sum(part.rows for part in manifest.parts if part.split == split) for split in SPLITS}
    return Preparation(
        data=manifest.data,
        units=len(manifest.units()),
        rows=rows,
        missing_share=missing / sum(rows.values()),
        quarantined=quarantined,
    )


def check_order(parts: list[Part], moments: Moments) -> None:
    """Raise InputError when a split overlaps the next in time, or a constant was fitted on later rows than train."""
    for train, validation, test in zip(parts[0::3], parts[1::3], parts[2::3], strict=True):
        if not train.end < validation.start <= validation.end < test.start:
            raise InputError(
                f"unit {train.unit}: splits overlap in time: {train.end}, {validation.start}, {test.start}"
            )
        if moments.last_seen[train.unit] > as_datetime64(train.end):
            raise InputError(f"unit {train.unit}: constants were fitted on rows after the end of train, {train.end}")
