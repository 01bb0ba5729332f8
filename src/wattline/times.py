"""An instant, as people's records have it (datetime) and as columns of rows have it (datetime64): both in UTC."""

from datetime import UTC, datetime, timedelta

import numpy as np

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    """Since 1970; exact. Raises TypeError for a moment without an offset."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def as_datetime64(moment: datetime) -> np.datetime64:
    """In nanoseconds, as timestamps of rows are."""
    return np.datetime64(nanoseconds(moment), "ns")


def as_datetime(instant: np.datetime64) -> datetime:
    """To the microsecond before it, which is as fine as stored rows are."""
    return EPOCH + timedelta(microseconds=int(instant.astype("datetime64[us]").astype(np.int64)))
