"""The newest samples of each unit, read from the file in which the server keeps them."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np

from wattline.drift.rows import Rows, of_units
from wattline.errors import InputError
from wattline.records import Signature
from wattline.serving.observing.file import APPLICATION, BUSY_SECONDS, FORMAT
from wattline.serving.observing.ring import INSTANT, VALUE, Layout
from wattline.task import FloatArray

QUERY = "SELECT unit.name, layout.content, unit.times, unit.rows FROM unit JOIN layout ON layout.id = unit.layout"


def read(path: Path, signature: Signature, *, since: datetime) -> Rows:
    """Samples measured after `since`, in the columns of `signature`; one that another model had not is missing.

    Raises InputError when there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing, the server's file of samples; WATTLINE_SERVED says where the server runs")
    try:
        with closing(_opened(path)) as connection:
            found = connection.execute(QUERY).fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be read as the server's file of samples: {error}") from None
    wanted = [(column.name, column.unit) for column in signature.columns]
    after = round(since.timestamp() * 1e6)
    rows = {
        unit: _samples(Layout.from_json(layout), times, values, wanted, after) for unit, layout, times, values in found
    }
    return of_units([name for name, _ in wanted], rows)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    try:
        kind = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if kind != [APPLICATION, FORMAT]:
            raise sqlite3.DatabaseError("it is a database of something else, or of another version of Wattline")
    except BaseException:
        connection.close()
        raise
    return connection


def _samples(layout: Layout, times: bytes, rows: bytes, wanted: list[tuple[str, str]], after: int) -> FloatArray:
    """(samples, columns) of one unit by time."""
    instants = np.frombuffer(times, INSTANT)
    values = np.frombuffer(rows, VALUE).reshape(len(instants), len(layout.columns))
    order = np.argsort(instants)
    order = order[instants[order] > max(after, 0)]
    selected = np.full((len(order), len(wanted)), np.nan, np.float32)
    for place, column in enumerate(wanted):
        if column in layout.columns:
            selected[:, place] = values[order, layout.columns.index(column)]
    return selected
