"""Every well-formed sample is read to the bit, every malformed one is refused by the name of its field."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import numpy as np
import orjson
import pytest
from builders import COLUMNS, STEPS, THRESHOLD, signature
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.serving.observing.observations import Observed, Sample
from wattline.serving.protocol.observe import answers, parse
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
SIGNATURE = signature()
NAMES = [column.name for column in COLUMNS]
MAXIMUM = 8


def sample(**changes: Any) -> dict[str, Any]:
    values = {"power": 250.5, "temperature": None, "load": 3}
    return {"unit": "node-01", "timestamp": "2026-11-21T10:00:00Z", "values": values} | changes


def with_values(**changes: Any) -> dict[str, Any]:
    return sample(values=sample()["values"] | changes)


def read(content: Any, *, extra_columns: Literal["refuse", "ignore"] = "refuse") -> list[Sample]:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return parse(body, SIGNATURE, now=NOW, future_seconds=60, maximum_samples=MAXIMUM, extra_columns=extra_columns)


def refused(content: Any, *, status: int = 422, extra_columns: Literal["refuse", "ignore"] = "refuse") -> str:
    with pytest.raises(RefusedError) as caught:
        read(content, extra_columns=extra_columns)
    assert caught.value.status == status
    return str(caught.value)


def test_one_sample_is_read():
    (found,) = read(sample())
    assert (found.unit, found.timestamp) == ("node-01", NOW)
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, np.array([250.5, np.nan, 3], np.float32))


def test_many_samples_are_read_in_their_order_whatever_the_order_of_their_columns():
    backwards = sample(unit="node-02", values={"load": 1, "temperature": 2, "power": 3})
    found = read({"samples": [sample(), backwards, sample()]})
    assert [one.unit for one in found] == ["node-01", "node-02", "node-01"]
    assert found[1].values.tolist() == [3, 2, 1]


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
            st.integers(0, 800_000_000_000_000).map(lambda age: NOW - timedelta(microseconds=age)),
            st.integers(-23 * 60, 23 * 60),
            st.lists(st.none() | finite, min_size=3, max_size=3),
        ),
        min_size=1,
        max_size=MAXIMUM,
    )
)
def test_what_is_sent_is_what_is_read(sent: list[tuple[str, datetime, int, list[float | None]]]):
    samples, instants = [], []
    for unit, when, offset, row in sent:
        instant = when.astimezone(timezone(timedelta(minutes=offset)))
        instants.append(instant)
        values = dict(zip(NAMES, row, strict=True))
        samples.append({"unit": unit, "timestamp": instant.isoformat(), "values": values})
    for found, (unit, _, _, row), instant in zip(read({"samples": samples}), sent, instants, strict=True):
        assert (found.unit, found.timestamp) == (unit, instant)
        assert found.timestamp.utcoffset() == timedelta(0)
        np.testing.assert_array_equal(found.values, np.array(row, np.float32))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T10:00:00Z",
        "2026-11-21T10:00:00.000Z",
        "2026-11-21t10:00:00z",
        "2026-11-21 10:00:00+00:00",
        "2026-11-21T10:00:00-00:00",
        "2026-11-21T12:00:00+02:00",
        "2026-11-21T00:30:00-09:30",
        "2026-11-22T09:59:00+23:59",
    ],
)
def test_any_zone_is_the_same_instant(text: str):
    assert read(sample(timestamp=text))[0].timestamp == NOW


def test_microseconds_are_kept():
    (found,) = read(sample(timestamp="2026-11-21T09:59:59.123456Z"))
    assert found.timestamp == NOW - timedelta(microseconds=876544)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21",
        "2026-11-21T10:00:00",
        "2026-11-21T10:00Z",
        "20261121T100000Z",
        "2026-W47-6T10:00:00Z",
        "2026-13-21T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:00:00+24:00",
        "2026-11-21T10:00:00 UTC",
        "2026-11-21T10:00:00Z\n",
        "\u0662\u0660\u0662\u0666-11-21T10:00:00Z",
        "now",
        "",
        1795255200,
        1795255200.5,
        None,
        True,
        [],
        {},
    ],
)
def test_what_is_no_instant_with_a_zone_is_refused(value: Any):
    assert "samples[1].timestamp" in refused({"samples": [sample(), sample(timestamp=value)]})
    assert refused(sample(timestamp=value)).startswith("timestamp ")


def test_a_sample_from_the_future_is_refused_beyond_what_clocks_may_differ():
    assert read(sample(timestamp="2026-11-21T10:01:00Z"))
    assert "future" in refused(sample(timestamp="2026-11-21T10:01:01Z"))
    assert "future" in refused(sample(timestamp="9999-12-31T23:59:59Z"))


@pytest.mark.parametrize(
    "text",
    ["1970-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z"],
)
def test_a_clock_that_was_never_set_is_refused(text: str):
    assert "timestamp 1999-12-31T23:59:59Z lies before 2000; set the clock" in refused(
        sample(timestamp="1999-12-31T23:59:59Z")
    )
    assert refused(sample(timestamp=text)).startswith(f"timestamp {text} ")


def test_a_year_that_the_zone_pushes_over_the_end_is_refused():
    assert "timestamp" in refused(sample(timestamp="9999-12-31T23:59:59-23:59"))


@pytest.mark.parametrize("unit", ["", None, 7, True, ["node-01"], {}, "x" * 201])
def test_a_unit_is_a_name(unit: Any):
    assert "samples[2].unit must be a string of 1 to 200 characters" in refused(
        {"samples": [sample(), sample(), sample(unit=unit)]}
    )
    assert refused(sample(unit=unit)).startswith("unit ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "true"),
        (False, "false"),
        ("250", "the string '250'"),
        ([1], "a list of 1"),
        ({}, "an object of 0"),
        (1e39, "more than float32 can hold"),
        (-(10**40), "more than float32 can hold"),
    ],
)
def test_a_value_is_a_number_or_null(value: Any, said: str):
    bad = json.dumps({"samples": [sample(), sample(), sample(), with_values(power=value)]}).encode()
    message = refused(bad)
    assert message.startswith("samples[3].values.power ")
    assert said in message
    assert refused(json.dumps(with_values(load=value)).encode()).startswith("values.load ")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_a_literal_that_is_no_json_is_named_by_its_column(literal: str):
    value = float(literal)
    one = json.dumps(with_values(temperature=value)).encode()
    assert refused(one, status=400).startswith(f"values.temperature is {literal}, which is not JSON; send null")
    many = json.dumps({"samples": [sample(), sample(), with_values(temperature=value), sample()]}).encode()
    assert refused(many, status=400).startswith(f"samples[2].values.temperature is {literal}")
    unit = json.dumps({"samples": [sample(), sample(unit=value)]}).encode()
    assert refused(unit, status=400).startswith(f"unit is {literal}")


def test_a_missing_and_an_unknown_column_are_named():
    lacking = sample(values={"power": 1, "temperature": 2})
    assert refused({"samples": [sample(), lacking]}) == "samples[1].values lacks column load"
    assert "values has unknown column fan" in refused(with_values(fan=1))
    renamed = sample(values={"power": 1, "temperature": 2, "Load": 3})
    assert "values lacks column load and has unknown column Load; was it renamed?" in refused(renamed)


def test_extra_columns_can_be_ignored_but_not_missing_ones():
    (found,) = read(with_values(fan="whatever"), extra_columns="ignore")
    np.testing.assert_array_equal(found.values, read(sample())[0].values)
    lacking = sample(values={"power": 1, "temperature": 2, "fan": 3})
    assert refused(lacking, extra_columns="ignore") == "values lacks column load"


@pytest.mark.parametrize("values", [None, [1, 2, 3], "abc", 3, True])
def test_values_are_an_object_of_columns(values: Any):
    assert "samples[1].values must be an object of columns" in refused({"samples": [sample(), sample(values=values)]})


@pytest.mark.parametrize("bad", [None, [1, 2, 3], "abc", 3, True])
def test_a_sample_is_an_object_of_fields(bad: Any):
    assert "samples[1] must be an object of fields" in refused({"samples": [sample(), bad]})


def test_a_field_that_is_missing_or_unknown_is_named():
    for name in sample():
        lacking = {key: value for key, value in sample().items() if key != name}
        assert refused(lacking) == f"the body lacks field {name}"
        assert refused({"samples": [lacking]}) == f"samples[0] lacks field {name}"
    assert "the body has unknown field node" in refused(sample(node="x"))
    assert "the body has unknown field more" in refused({"samples": [sample()], "more": 1})


@pytest.mark.parametrize("samples", [[], {}, None, "x", [sample()] * (MAXIMUM + 1)])
def test_the_number_of_samples_is_bounded(samples: Any):
    assert f"samples must be a list of 1 to {MAXIMUM} samples" in refused({"samples": samples})


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b'{"unit": "\xff"}', b'{"unit": "\\ud800"}', b"[" * 2000])
def test_what_is_no_json_is_a_400(body: bytes):
    assert "the body" in refused(body, status=400)


@pytest.mark.parametrize("body", [b"null", b"[]", b"3", b'"x"', b"true"])
def test_what_is_no_object_is_a_422(body: bytes):
    assert "the body must be a JSON object" in refused(body)


def test_a_model_of_one_column_is_asked_alike():
    declared = signature(COLUMNS[:1])
    body = orjson.dumps({"samples": [sample(values={"power": 1}), sample(values={"power": None})]})
    found = parse(body, declared, now=NOW, future_seconds=60, maximum_samples=2, extra_columns="refuse")
    assert found[0].values.tolist() == [1]
    assert np.isnan(found[1].values).all()


def observed(unit: str, *, window: FloatArray | None = None, **changes: Any) -> Observed:
    fields: dict[str, Any] = {"state": "filling", "have": 2, "missing": 1, "note": ""}
    if window is not None:
        fields |= {"state": "complete", "have": STEPS, "missing": 0}
    return Observed(unit=unit, timestamp=NOW, need=STEPS, window=window, **fields | changes)


def test_an_answer_says_how_far_a_window_is():
    assert answers([observed("node-01")], None, SIGNATURE) == [
        {
            "unit": "node-01",
            "timestamp": "2026-11-21T10:00:00Z",
            "state": "filling",
            "have": 2,
            "need": STEPS,
            "missing": 1,
        }
    ]


def test_an_answer_for_a_complete_window_is_that_of_its_own_row():
    window = np.zeros((STEPS, 3), np.float32)
    outputs = {
        "score": np.array([1.0, 3.0], np.float32),
        "threshold": np.array([THRESHOLD, THRESHOLD], np.float32),
        "contribution": np.array([[1, 2, 3], [30, 20, 10]], np.float32),
    }
    several = [
        observed("node-01", window=window),
        observed("node-02"),
        observed("node-99", window=window, note="replaces another sample of the same step"),
    ]
    first, second, third = answers(several, outputs, SIGNATURE)
    assert (first["unit"], first["state"], first["score"], first["alarm"]) == ("node-01", "complete", 1.0, False)
    assert first["contributions"][0] == {"column": "load", "contribution": 3.0}
    assert "score" not in second
    assert (third["score"], third["alarm"], third["unknown_unit"]) == (3.0, True, True)
    assert third["contributions"][0] == {"column": "power", "contribution": 30.0}
    assert third["timestamp"] == "2026-11-21T10:00:00Z"
    assert "replaces" in third["note"]
    assert orjson.dumps([first, second, third])


def test_a_score_that_is_no_number_is_null():
    outputs = {"score": np.array([math.nan], np.float32)}
    (answer,) = answers([observed("node-01", window=np.zeros((STEPS, 3), np.float32))], outputs, SIGNATURE)
    assert (answer["state"], answer["score"], answer["alarm"]) == ("complete", None, None)
