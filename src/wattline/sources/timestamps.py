"""Instants in a table, as UTC. A time without a zone is refused rather than guessed."""

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError

if TYPE_CHECKING:
    import pandas
    import pyarrow

OFFSET = r"[T ]\d{2}.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
"""How an ISO 8601 text ends that says how far it is from UTC; the day of a bare date is no offset."""


def instants(column: "pyarrow.ChunkedArray", name: str, *, timezone: str | None, where: str) -> NDArray[np.datetime64]:
    """Read a column of timestamps, or of ISO 8601 texts, as (rows,) datetime64[ns] in UTC.

    timezone: IANA name of the zone in which naive ones were taken; None refuses them
    Raises InputError naming `where`, the column and the first value that is wrong.
    """
    import pandas

    times = _parsed(column, name, where=where)
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        raise InputError(f"{where}: column {name!r} is empty in row {row}; every row needs a timestamp")
    if times.tz is None:
        times = _localized(times, name, timezone, where=where)
    utc = times.tz_convert("UTC").tz_localize(None)
    outside = (utc < pandas.Timestamp.min) | (utc > pandas.Timestamp.max)
    if outside.any():
        first = utc[outside][0]
        raise InputError(f"{where}: column {name!r} has {first}, outside of the years 1678 to 2261; correct it")
    return utc.to_numpy().astype("datetime64[ns]")


def _parsed(column: "pyarrow.ChunkedArray", name: str, *, where: str) -> "pandas.DatetimeIndex":
    import pandas
    from pyarrow import compute, types

    if types.is_timestamp(column.type):
        return pandas.DatetimeIndex(column.to_pandas())
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        raise InputError(
            f"{where}: column {name!r} is {column.type}, first {column[0].as_py()!r}, not a timestamp; write it as "
            "ISO 8601, like 2026-01-05T00:00:00Z"
        )
    zoned = compute.match_substring_regex(column, OFFSET).fill_null(False).to_numpy()
    texts = column.to_pandas()
    texts = texts.where(texts != "")
    naive = ~zoned & texts.notna().to_numpy()
    if zoned.any() and naive.any():
        row = int(np.flatnonzero(naive)[0])
        raise InputError(
            f"{where}: column {name!r} has {texts[row]!r} in row {row}, without an offset from UTC, which others have; "
            "write all of them like 2026-01-05T00:00:00Z"
        )
    times = pandas.to_datetime(texts, format="ISO8601", utc=bool(zoned.any()), errors="coerce")
    if (times.isna() & texts.notna()).any():
        row = int(np.flatnonzero(times.isna() & texts.notna())[0])
        raise InputError(
            f"{where}: column {name!r} has {texts[row]!r} in row {row}, which is not ISO 8601; write it like "
            "2026-01-05T00:00:00Z"
        )
    return pandas.DatetimeIndex(times)


def _localized(times: "pandas.DatetimeIndex", name: str, timezone: str | None, *, where: str) -> "pandas.DatetimeIndex":
    if timezone is None:
        raise InputError(
            f"{where}: column {name!r} has no time zone, first {times[0]}; write timestamps in UTC (ending in Z) or "
            'set `timezone` in params.yaml, e.g. "UTC"'
        )
    try:
        return times.tz_localize(timezone)
    except (ValueError, KeyError, OSError) as error:
        # pandas tells an hour that a clock change repeats or skips, zoneinfo a zone that it does not know.
        # The rest is advice on arguments of pandas.
        told = re.split(r"[,.] try using", str(error), flags=re.IGNORECASE)[0]
        raise InputError(
            f"{where}: column {name!r} cannot be taken as time in {timezone!r}: {told}; write it in UTC"
        ) from None
