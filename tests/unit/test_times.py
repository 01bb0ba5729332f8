"""Instants survive the way from records to rows and back, to the microsecond and in any zone."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.times import as_datetime, as_datetime64, nanoseconds

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-9))])
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001


@given(MOMENTS)
def test_a_moment_comes_back_as_it_was(moment: datetime):
    instant = as_datetime64(moment)
    assert instant.dtype == np.dtype("datetime64[ns]")
    assert as_datetime(instant) == moment
    assert nanoseconds(moment) == instant.astype(np.int64)


def test_without_an_offset_it_is_no_instant():
    with pytest.raises(TypeError):
        as_datetime64(datetime(2026, 1, 1, 12))  # noqa: DTZ001


@pytest.mark.parametrize("nanosecond", [0, 1, 999])
def test_what_is_finer_than_a_microsecond_is_cut_off(nanosecond: int):
    for second in (-1, 1_767_225_600):
        instant = np.datetime64(second * 10**9 + 1_000 + nanosecond, "ns")
        assert as_datetime(instant) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second, microseconds=1)
