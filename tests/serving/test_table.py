"""/predict/batch: every complete window of a table is found, every other table is refused with its fault named."""

import contextlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from builders import STEPS, signature
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.serving.protocol.arrow_stream import MOST_MESSAGES
from wattline.serving.protocol.table import Rows, decode_table, encode_table
from wattline.serving.refusal import RefusedError

from .messages import FUTURE_SECONDS, MOST_WINDOWS, NAMES, NOW, SIGNATURE, columns, expected_windows, stream

TEXTS = (pa.utf8(), pa.large_utf8(), pa.string_view())
MINUTE = timedelta(minutes=1)


def decode(table: Any, **options: Any) -> Rows:
    body = table if isinstance(table, bytes) else stream(table)
    given: dict[str, Any] = {"extra_columns": "refuse", "maximum_windows": MOST_WINDOWS, "now": NOW}
    return decode_table(body, SIGNATURE, **(given | {"future_seconds": FUTURE_SECONDS} | options))


def refused(table: Any, status: int = 422, **options: Any) -> str:
    with pytest.raises(RefusedError) as refusal:
        decode(table, **options)
    assert refusal.value.status == status
    assert len(str(refusal.value)) < 300
    return str(refusal.value)


def with_times(rows: int = 10, *, times: Any = None, kind: Any = None) -> dict[str, Any]:
    given = [NOW - (rows - row) * MINUTE for row in range(rows)] if times is None else times
    return columns(rows) | {"timestamp": pa.array(given, pa.timestamp("us", "UTC") if kind is None else kind)}


def test_each_row_with_enough_rows_of_its_unit_before_it_is_the_end_of_a_window():
    table = columns(10)
    rows = decode(table)
    assert rows.numbers.tolist() == [6, 7, 8, 9]
    assert rows.names == ("node-01", "node-99", "node-01", "node-99")
    assert rows.units.tolist() == [0, -1, 0, -1]
    assert rows.timestamps is None
    np.testing.assert_array_equal(rows.windows, expected_windows(table, [6, 7, 8, 9]))
    assert rows.windows.dtype == np.float32


def test_windows_of_one_row_are_in_the_order_of_the_table_too():
    table = columns(3, units=["a", "b"]) | {"unit": ["a", "b", "a"], "power": [1.0, 2.0, 3.0]}
    rows = decode_table(
        stream(table),
        signature(steps=1),
        extra_columns="refuse",
        maximum_windows=MOST_WINDOWS,
        now=NOW,
        future_seconds=FUTURE_SECONDS,
    )
    assert rows.names == ("a", "b", "a")
    assert rows.windows[:, 0, 0].tolist() == [1.0, 2.0, 3.0]


@given(st.lists(st.sampled_from(["node-01", "node-03", "a", "b"]), min_size=STEPS, max_size=20))
@settings(max_examples=50, deadline=None)
def test_units_may_be_mixed_in_any_way(units: list[str]):
    table = columns(len(units)) | {"unit": units}
    newest = [row for row in range(len(units)) if units[: row + 1].count(units[row]) >= STEPS]
    if not newest:
        assert "rows" in refused(table)
        return
    rows = decode(table, maximum_windows=20)
    assert rows.numbers.tolist() == newest
    np.testing.assert_array_equal(rows.windows, expected_windows(table, newest))
    assert rows.names == tuple(units[row] for row in newest)


@pytest.mark.parametrize("chunk", [1, 3, None])
@pytest.mark.parametrize("kind", [*TEXTS, *(pa.dictionary(pa.int8(), text) for text in TEXTS[:2])], ids=str)
def test_names_of_units_may_come_in_every_encoding_of_text_and_in_batches_of_any_size(kind: Any, chunk: int | None):
    names = ["node-02", "a name of more than twelve bytes", "\u00fc"]
    table = columns(12, units=names)
    unit = pa.array(table["unit"]).cast(kind) if not pa.types.is_dictionary(kind) else pa.array(table["unit"], kind)
    rows = decode(stream(table | {"unit": unit}, chunk=chunk))
    assert rows.names == tuple(names)
    assert rows.units.tolist() == [1, -1, -1]
    np.testing.assert_array_equal(rows.windows, expected_windows(table, [9, 10, 11]))


def test_a_dictionary_may_be_another_one_in_each_batch():
    first = pa.table(columns(4, units=["x"]) | {"unit": pa.array(["x"] * 4).dictionary_encode()})
    second = pa.table(columns(4, units=["y"]) | {"unit": pa.array(["y"] * 4).dictionary_encode()})
    assert decode(pa.concat_tables([first, second], promote_options="none")).names == ("x", "y")


NUMBERS = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
]


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_columns_may_be_of_every_type_of_number_and_null_is_a_missing_sample(kind: Any):
    number = np.float16 if kind == pa.float16() else int
    given = pa.array([None if value is None else number(value) for value in (1, None, 100, 3)], kind)
    table = columns(4, units=["node-01"]) | {"power": given}
    np.testing.assert_array_equal(decode(table).windows[0, :, 0], [1, np.nan, 100, 3])


def test_a_column_of_nothing_but_nulls_is_missing_altogether():
    assert np.isnan(decode(columns(4, units=["x"]) | {"power": pa.nulls(4)}).windows[0, :, 0]).all()


def test_nan_is_a_missing_sample_too():
    assert np.isnan(decode(columns(4, units=["x"]) | {"power": [1.0, np.nan, 2.0, 3.0]}).windows[0, 1, 0])


def test_what_stands_where_a_value_is_missing_does_not_matter():
    infinite = pa.Array.from_buffers(
        pa.float64(), 4, [pa.py_buffer(b"\x0d"), pa.py_buffer(np.array([1, np.inf, 3, 4]).tobytes())]
    )
    table = pa.table(columns(4, units=["x"]) | {"power": infinite})
    np.testing.assert_array_equal(decode(table).windows[0, :, 0], [1, np.nan, 3, 4])


def test_columns_may_come_in_any_order_and_unknown_ones_can_be_ignored():
    table = dict(reversed(columns(8, units=["x"]).items()))
    expected = expected_windows(table, range(3, 8))
    np.testing.assert_array_equal(decode(table).windows, expected)
    more = {
        "fan": [1] * 8,
        "note": ["hot"] * 8,
        "nothing": pa.nulls(8),
        "flag": [True] * 8,
        "kind": pa.array(["a"] * 8).dictionary_encode(),
        "view": pa.array(["a name of more than twelve bytes"] * 8, pa.string_view()),
        "raw": pa.array([b"x"] * 8, pa.binary()),
        "day": pa.array([1] * 8, pa.date32()),
    }
    mixed = dict(sorted((table | more).items()))
    np.testing.assert_array_equal(decode(mixed, extra_columns="ignore").windows, expected)
    assert "unknown column" in refused(mixed)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_come_back_in_utc_in_their_own_resolution(unit: str):
    times = [NOW - (10 - row) * MINUTE for row in range(10)]
    kind = pa.timestamp(unit, "Europe/Berlin")
    rows = decode(with_times(times=times, kind=kind))
    table = pa.ipc.open_stream(encode_table(rows, {"score": np.ones(4, np.float32)})).read_all()
    assert table.schema.field("timestamp").type == pa.timestamp(unit, "UTC")
    assert table["timestamp"].to_pylist() == times[6:]


def test_answers_are_a_stream_that_other_libraries_read():
    rows = decode(columns(10))
    outputs = {
        "score": np.array([3, 1, np.nan, 2], np.float32),
        "threshold": np.array([2, 2, 2, np.nan], np.float32),
        "contribution": np.ones((4, 3), np.float32),
    }
    assert pa.ipc.open_stream(encode_table(rows, outputs)).read_all().to_pydict() == {
        "unit": ["node-01", "node-99", "node-01", "node-99"],
        "row": [6, 7, 8, 9],
        "score": [3, 1, None, 2],
        "threshold": [2, 2, 2, None],
        "alarm": [True, False, None, None],
    }


def test_a_graph_without_a_threshold_decides_nothing():
    table = pa.ipc.open_stream(encode_table(decode(columns(10)), {"score": np.ones(4, np.float32)})).read_all()
    assert table["threshold"].to_pylist() == table["alarm"].to_pylist() == [None] * 4
    assert table.schema.field("threshold").type == pa.float32()
    assert table.schema.field("alarm").type == pa.bool_()


def without(name: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (columns() | changes).items() if key != name}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table(columns(1)).slice(0, 0), ["no rows"]),
        (columns(6), ["node-01", "3 rows", "needs 4"]),
        (columns(MOST_WINDOWS + STEPS, units=["x"]), ["9 complete windows", "8"]),
        (columns(MOST_WINDOWS * STEPS + 1, units=["x"]), ["more than 32 rows"]),
        (without("unit"), ["lacks column unit"]),
        (without("load"), ["lacks column load"]),
        (without("load", Load=[1] * 10), ["lacks column load", "unknown column Load"]),
        (columns() | {"fan": [1] * 10}, ["unknown column fan"]),
        (columns() | {"power": ["1"] * 10}, ["column power", "Utf8"]),
        (columns() | {"power": [True] * 10}, ["column power", "Bool"]),
        (columns() | {"power": pa.array([1.0] * 10).dictionary_encode()}, ["column power", "dictionary"]),
        (columns() | {"power": pa.array([1] * 10, pa.decimal128(5))}, ["column power", "Decimal"]),
        (columns() | {"power": [[1.0]] * 10}, ["column power", "flat"]),
        (columns() | {"power": [{"a": 1.0}] * 10}, ["column power", "flat"]),
        (columns() | {"unit": list(range(10))}, ["column unit", "Int"]),
        (columns() | {"unit": pa.array(range(10)).dictionary_encode()}, ["column unit", "Int in a dictionary"]),
        (columns() | {"unit": pa.array([b"x"] * 10)}, ["column unit", "Binary"]),
        (columns() | {"unit": ["x"] * 9 + [None]}, ["unit of row 9", "null"]),
        (columns() | {"unit": pa.array(["x"] * 9 + [None]).dictionary_encode()}, ["unit of row 9", "null"]),
        (columns() | {"unit": [""] + ["x"] * 9}, ["unit of row 0", "empty"]),
        (columns() | {"unit": ["x" * 5000] * 10}, ["column unit", "5000 bytes"]),
        (columns() | {"unit": pa.array(["x" * 5000] * 10, pa.string_view())}, ["column unit", "5000 bytes"]),
        (columns() | {"load": [1.0] * 9 + [np.inf]}, ["load of row 9", "infinite"]),
        (columns() | {"load": [1.0, -np.inf] + [1.0] * 8}, ["load of row 1", "infinite"]),
        (columns() | {"load": [1.0, 1e39] + [1.0] * 8}, ["load of row 1", "infinite"]),
        (with_times(times=range(10), kind=pa.timestamp("s")), ["timestamp", "without a time zone"]),
        (with_times(times=range(10), kind=pa.int64()), ["timestamp", "Int"]),
        (with_times(times=range(10), kind=pa.date32()), ["timestamp", "Date"]),
        (with_times(times=[*range(9), None], kind=pa.timestamp("s", "UTC")), ["timestamp of row 9", "null"]),
        (with_times(times=range(10, 0, -1), kind=pa.timestamp("s", "UTC")), ["timestamp of row 2", "row 0", "sort"]),
        (with_times(times=[5] * 10, kind=pa.timestamp("s", "UTC")), ["timestamp of row 2", "row 0"]),
        (with_times(times=[*range(9), 2**62], kind=pa.timestamp("s", "UTC")), ["timestamp of row 9", "future"]),
        (with_times(times=[NOW + row * MINUTE for row in range(10)]), ["timestamp of row 9", "future"]),
    ],
)
def test_another_table_is_refused_with_its_column_row_or_unit_named(table: dict[str, Any], words: list[str]):
    error = refused(table)
    assert [word for word in words if word not in error] == []


def test_units_are_in_the_order_of_time_each_for_itself():
    times = [datetime(2026, 1, 1, tzinfo=UTC) + MINUTE * (row // 2 if row % 2 else 100 + row) for row in range(10)]
    assert len(decode(with_times(times=times)).numbers) == 4


def test_the_same_column_twice_is_refused():
    table = pa.table([pa.array(["x"] * 4), *[pa.array([1.0] * 4)] * 4], names=["unit", *NAMES, "load"])
    assert "load is given twice" in refused(stream(table))


def file_format() -> bytes:
    table, sink = pa.table(columns()), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
WHOLE = stream(columns())


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "end-of-stream"),
        (b"\xff", "end-of-stream"),
        (END, "schema"),
        (b"{}" * 100, "no Arrow stream"),
        (b"PAR1" * 100, "no Arrow stream"),
        (file_format(), "Arrow file"),
        (WHOLE + b"\0", "1 bytes follow"),
        (WHOLE + WHOLE, "follow the end"),
        (WHOLE[: -len(END)], "end-of-stream"),
        (WHOLE.removesuffix(END) + WHOLE, "one schema"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", 2**31 - 1), "ends in a message"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", -5) + bytes(100), "ends in a message"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", 100) + bytes(100), "before Arrow 1.0"),
        (stream(columns(), compression="zstd"), "compressed"),
        (stream(columns(), compression="lz4"), "compressed"),
        (stream(columns(), metadata_version=pa.ipc.MetadataVersion.V4), None),
        (stream(columns(), use_legacy_format=True), "no Arrow stream"),
    ],
)
def test_what_is_no_sound_stream_is_refused(body: bytes, word: str | None):
    if word is None:
        assert len(decode(body).numbers) == 4
    else:
        assert word in refused(body, 400)


@pytest.mark.parametrize("length", range(0, len(WHOLE), 7))
def test_a_stream_that_was_cut_off_anywhere_is_refused(length: int):
    refused(WHOLE[:length], 400)


def test_many_tiny_batches_are_refused():
    two = pa.table(columns(2, units=["x"]))
    one = stream(two.slice(0, 1))
    record = stream(two, chunk=1)[len(one) - len(END) : -len(END)]
    body = one.removesuffix(END) + record * MOST_MESSAGES + END
    assert f"{MOST_MESSAGES} messages" in refused(body, maximum_windows=10**6)


def moved(to: int) -> bytes:
    """A stream in which the values of every column of numbers lie in another place of their message."""
    table = pa.table({"unit": pa.array(["x"] * 8)} | {name: pa.array([1.0] * 8) for name in NAMES})
    body = bytearray(stream(table))
    places = [at for at in range(0, len(body) - 16, 8) if 0 < struct.unpack_from("<qq", body, at)[0] < 1000]
    buffers = [at for at in places if struct.unpack_from("<qq", body, at)[1] == 8 * 8]
    assert len(buffers) == len(NAMES)
    for at in buffers:
        struct.pack_into("<q", body, at, to)
    return bytes(body)


@pytest.mark.parametrize("place", [-8, -1, 10**6, 2**62, 2**63 - 1, -(2**63)])
def test_a_buffer_outside_of_its_message_is_refused(place: int):
    assert "damaged" in refused(moved(place), 400)


def test_a_dictionary_is_never_multiplied_out():
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 20, pa.int8()), pa.array(["x" * 900]))
    rows = decode(columns(20, units=["x"]) | {"unit": names}, maximum_windows=20)
    assert len({id(name) for name in rows.names}) == 1
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 10, pa.int8()), pa.array([str(n) for n in range(100)]))
    assert "dictionary of column unit" in refused(columns() | {"unit": many})


@pytest.mark.parametrize("place", [3, -1, 127])
def test_places_outside_of_a_dictionary_are_refused(place: int):
    names = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, place], pa.int8()), pa.array(["a", "b", "c"]), safe=False)
    assert "outside of its dictionary" in refused(columns(4) | {"unit": names}, 400)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_corrupted_bytes_are_read_or_refused_and_nothing_else(data: st.DataObject):
    kind = data.draw(st.sampled_from([pa.utf8(), pa.string_view(), pa.dictionary(pa.int8(), pa.utf8())]))
    body = bytearray(stream(columns() | {"unit": pa.array(columns()["unit"], kind)}))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        edges = [0, -1, 1, 8, 2**31 - 1, -(2**31)]
        raw = data.draw(st.binary(max_size=3) | st.sampled_from([struct.pack("<i", edge) for edge in edges]))
        body[at : at + len(raw)] = raw
    with contextlib.suppress(RefusedError):
        rows = decode(bytes(body), extra_columns="ignore")
        assert rows.windows.shape == (len(rows.numbers), STEPS, 3)
        assert not np.isinf(rows.windows).any()
        assert len(rows.names) == len(rows.units) == len(rows.windows)
