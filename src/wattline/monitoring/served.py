"""What was served: answers with what was said of them, and rows that were asked about."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wattline import predictions
from wattline.drift.rows import Rows, of_scores, of_units
from wattline.errors import InputError
from wattline.monitoring import observed, snapshot
from wattline.monitoring.champion import Reference, scored
from wattline.params import Params
from wattline.serving.observing.ring import Layout
from wattline.task import Series

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Served:
    """What one look sees.

    source: where rows and scores came from
    labelled: answers of the days in which labels count, as `predictions.joined` gives them
    """

    source: str
    inputs: Rows
    scores: Rows
    labelled: "pyarrow.Table"


def by_server(params: Params, reference: Reference, *, place: Path, since: datetime, now: datetime) -> Served:
    """What the server in the folder `place` wrote down since then.

    Raises InputError when its log or its samples are not there: it does not run there, or keeps none.
    """
    knobs = params.serving
    if not knobs.log.folder:
        raise InputError("serving.log.folder is empty, so no answer is written down; set it, or give rows with --rows")
    log = place / knobs.log.folder
    if not log.is_dir():
        raise InputError(
            f"{log} is missing, the server's log of answers; WATTLINE_SERVED says in which folder the server runs"
        )
    answers = _champions(predictions.joined(log, start=since, end=now).answers, reference)
    return Served(
        source=f"{answers.num_rows} answers in {log}",
        inputs=_inputs(params, reference, place=place, since=since),
        scores=_scores(answers),
        labelled=_labelled(log, reference, params, now=now),
    )


def by_snapshot(params: Params, reference: Reference, folder: Path, *, place: Path, now: datetime) -> Served:
    """Rows in `folder`, scored by the champion here; labels are those of the server's log where there is one."""
    split = snapshot.read(folder, reference.signature)
    names = [column.name for column in reference.signature.columns]
    history = reference.signature.steps - 1
    full = {
        unit: Series(unit, one.group, one.timestamps, one.values, one.target, history)
        for unit, one in split.items()
        if len(one.timestamps) > history
    }
    log = place / params.serving.log.folder
    return Served(
        source=f"rows in {folder}",
        inputs=of_units(names, {unit: one.values for unit, one in split.items()}),
        scores=scored(reference.engine, full, names),
        labelled=_labelled(log, reference, params, now=now),
    )


def _inputs(params: Params, reference: Reference, *, place: Path, since: datetime) -> Rows:
    """The newest samples of each unit; none where the server keeps none."""
    if not params.serving.observe.file:
        return of_units([column.name for column in reference.signature.columns], {})
    file = place / params.serving.observe.file
    layout = Layout.of(reference.signature, gap_steps=params.serving.observe.gap_steps)
    # A window of samples reaches back further than the look that it is part of.
    window = timedelta(microseconds=layout.cadence * layout.capacity)
    return observed.read(file, reference.signature, since=since - window)


def _champions(answers: "pyarrow.Table", reference: Reference) -> "pyarrow.Table":
    """Answers of the champion that callers got."""
    import pyarrow.compute as pc

    mine = pc.and_(pc.equal(answers["digest"], reference.candidate.digest), pc.not_equal(answers["role"], "shadow"))
    return answers.filter(mine)


def _scores(answers: "pyarrow.Table") -> Rows:
    """Scores by unit in the order of time. One that could not be computed is NaN."""
    units = answers["unit"].to_numpy(zero_copy_only=False)
    scores = answers["score"].to_numpy(zero_copy_only=False).astype(np.float32)
    known = sorted({unit for unit in units.tolist() if unit is not None})
    named = {unit: scores[units == unit] for unit in known}
    unnamed = scores[np.array([unit is None for unit in units.tolist()], dtype=bool)]
    return of_scores(named | {"": unnamed})


def _labelled(log: Path, reference: Reference, params: Params, *, now: datetime) -> "pyarrow.Table":
    start = now - timedelta(days=params.monitoring.labels.days)
    return _champions(predictions.joined(log, start=start, end=now).answers, reference)
