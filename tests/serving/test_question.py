"""/predict: every well-formed question is read, every malformed one is a 4xx that names the field."""

import contextlib
import json
import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders import COLUMNS, STEPS, write_candidate
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.serving.protocol.answer import answer, summary
from wattline.serving.protocol.question import Question, parse
from wattline.serving.refusal import RefusedError

from .messages import FUTURE_SECONDS, NAMES, NOW, SIGNATURE, question

WINDOW = np.array([[10 * step + place for place in range(3)] for step in range(STEPS)], np.float32)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70) | st.none()


def read(body: Any, **options: Any) -> Question:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    given: dict[str, Any] = {"extra_columns": "refuse", "now": NOW, "future_seconds": FUTURE_SECONDS} | options
    return parse(text, given.pop("signature", SIGNATURE), **given)


def refused(body: Any, status: int, **options: Any) -> str:
    with pytest.raises(RefusedError) as refusal:
        read(body, **options)
    assert refusal.value.status == status
    assert len(str(refusal.value)) < 300
    return str(refusal.value)


def row_with(at: int, **changes: Any) -> dict[str, Any]:
    asked = question()
    asked["rows"][at] |= changes
    return asked


def row_without(at: int, name: str, **changes: Any) -> dict[str, Any]:
    asked = row_with(at, **changes)
    del asked["rows"][at][name]
    return asked


def test_a_question_becomes_a_window_in_the_columns_of_the_signature():
    asked = read(question())
    np.testing.assert_array_equal(asked.window, WINDOW)
    assert asked.window.dtype == np.float32
    assert (asked.unit, asked.timestamp) == ("node-03", None)


def test_columns_may_come_in_any_order_and_another_one_in_each_row():
    asked = question()
    asked["rows"] = [dict(sorted(row.items(), reverse=at % 2 == 0)) for at, row in enumerate(asked["rows"])]
    np.testing.assert_array_equal(read(asked).window, WINDOW)


@given(st.lists(NUMBERS, min_size=3 * STEPS, max_size=3 * STEPS))
@settings(max_examples=100, deadline=None)
def test_every_number_is_the_nearest_float32_and_null_is_nan(values: list[float | None]):
    rows = [dict(zip(NAMES, values[3 * step : 3 * step + 3], strict=True)) for step in range(STEPS)]
    expected = np.array([math.nan if value is None else float(value) for value in values]).astype(np.float32)
    np.testing.assert_array_equal(read(question(rows=rows)).window.ravel(), expected)


def test_a_signature_of_one_column_is_no_special_case():
    one = SIGNATURE.model_copy(update={"columns": COLUMNS[:1]})
    rows = [{"power": value} for value in (1, None, 3, 4)]
    np.testing.assert_array_equal(read(question(rows=rows), signature=one).window, [[1], [np.nan], [3], [4]])
    rows[2] = {"power": "x"}
    assert "rows[2].power" in refused(question(rows=rows), 422, signature=one)


def test_columns_that_the_model_does_not_know_can_be_ignored_but_none_may_be_missing():
    asked = row_with(1, fan=3, note="hot", more={"a": [1]})
    np.testing.assert_array_equal(read(asked, extra_columns="ignore").window, WINDOW)
    assert "rows[1]" in refused(asked, 422)
    error = refused(row_without(2, "load", Load=1), 422, extra_columns="ignore")
    assert "rows[2] lacks column load" in error


@pytest.mark.parametrize("unit", ["node-99", "NODE-03", "\u00fc\U0001f600", "a" * 10_000, "0", "-1", " "])
def test_any_name_may_be_a_unit(unit: str):
    assert read(question(unit=unit)).unit == unit


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (question(rows=question()["rows"][:-1]), ["rows", "4 rows", "got 3"]),
        (question(rows=question()["rows"] * 2), ["rows", "4 rows", "got 8"]),
        (question(rows=[]), ["rows", "got 0"]),
        (question(rows=None), ["rows", "null"]),
        (question(rows={}), ["rows", "object"]),
        (question(rows="abcd"), ["rows", "string"]),
        (question(rows=[1, 2, 3, 4]), ["rows[0]", "got 1"]),
        (question(rows=[[1, 2, 3]] * 4), ["rows[0]", "list"]),
        (question(rows=["abc"] * 4), ["rows[0]", "string"]),
        (question(rows=[*question()["rows"][:3], None]), ["rows[3]", "null"]),
        (row_without(2, "load"), ["rows[2]", "lacks column load"]),
        (row_with(1, fan=3), ["rows[1]", "unknown column fan"]),
        (row_without(0, "power", Power=1), ["lacks column power", "unknown column Power"]),
        (row_with(3, power="12"), ["rows[3].power", "string '12'"]),
        (row_with(3, power=True), ["rows[3].power", "true"]),
        (row_with(0, power=False), ["rows[0].power", "false"]),
        (row_with(3, power=True, load=None), ["rows[3].power", "true"]),
        (row_with(0, load=[1]), ["rows[0].load", "list"]),
        (row_with(0, load={}), ["rows[0].load", "object"]),
        (row_with(0, load=1e39), ["rows[0].load", "float32"]),
        (row_with(0, load=-(10**60), power=None), ["rows[0].load", "float32"]),
        (question(unit=3), ["unit", "got 3"]),
        (question(unit=""), ["unit", "non-empty"]),
        (question(unit=None), ["unit", "null"]),
        (question(colour=1), ["unknown field colour"]),
        (question(**{f"field {number}": 1 for number in range(10_000)}), ["unknown field"]),
        ({"unit": "node-03"}, ["lacks field rows"]),
        ({"unit": "node-03", "Rows": []}, ["lacks field rows", "unknown field Rows"]),
        ({"rows": question()["rows"]}, ["lacks field unit"]),
        ({}, ["lacks field unit"]),
        ([], ["JSON object", "list"]),
        ("node-03", ["JSON object", "string"]),
        (None, ["JSON object", "null"]),
    ],
)
def test_a_malformed_question_is_refused_with_its_field_named(body: Any, words: list[str]):
    error = refused(body, 422)
    assert [word for word in words if word not in error] == []


@pytest.mark.parametrize("letters", ["", "ul"])
@pytest.mark.parametrize("at", [0, STEPS - 1])
@pytest.mark.parametrize("value", [True, False])
def test_true_is_no_number_whatever_the_columns_are_called(letters: str, at: int, value: bool):
    names = [f"{letters}{place}" for place in range(30)]
    wide = SIGNATURE.model_copy(
        update={"columns": tuple(COLUMNS[0].model_copy(update={"name": name}) for name in names)}
    )
    rows = [dict.fromkeys(names, 0.5) for _ in range(STEPS)]
    rows[at][names[-1]] = value
    assert f"rows[{at}].{names[-1]}" in refused(question(rows=rows), 422, signature=wide)
    rows[at][names[-1]] = float(value)
    assert read(question(rows=rows, unit="true"), signature=wide).window[at, -1] == value


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_a_literal_that_is_not_json_is_refused_with_its_column_named(literal: str):
    body = json.dumps(question()).replace("21.0", literal).encode()
    error = refused(body, 400)
    assert f"temperature is {literal}" in error
    assert "null" in error


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"hello",
        b'{"unit": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1e999]",
        b"{'unit': 1}",
        b'{"a":1}}',
        b"-",
    ],
)
def test_what_is_not_json_is_refused(body: bytes):
    assert "not valid JSON" in refused(body, 400)


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_refused(body: bytes):
    assert "empty" in refused(body, 400)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-31T23:59:59Z", datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-06-01t02:00:00+02:00", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-05-31 18:30:00.125-05:30", datetime(2026, 6, 1, 0, 0, 0, 125_000, tzinfo=UTC)),
        ("2026-05-31T23:59:59.123456789z", datetime(2026, 5, 31, 23, 59, 59, 123_456, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("2026-06-01T00:01:00Z", NOW + timedelta(seconds=FUTURE_SECONDS)),
    ],
)
def test_a_timestamp_with_a_zone_is_an_instant_in_utc(text: str, expected: datetime):
    assert read(question(timestamp=text)).timestamp == expected


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("2026-05-31T23:59:59", "zone"),
        ("2026-05-31", "zone"),
        ("20260531T235959Z", "zone"),
        ("2026-05-31T23:59Z", "zone"),
        ("2026-W22-7T00:00:00Z", "zone"),
        ("2026-05-31T23:59:59 UTC", "zone"),
        ("2026-05-31T23:59:59+0200", "zone"),
        ("2026-05-31T23:59:59Z\n", "zone"),
        ("\u0662026-05-31T23:59:59Z", "zone"),
        ("2026-02-30T00:00:00Z", "no instant"),
        ("2026-05-31T24:00:01Z", "no instant"),
        ("2026-05-31T23:59:60Z", "no instant"),
        ("2026-05-31T00:00:00+24:00", "no instant"),
        ("0000-01-01T00:00:00Z", "no instant"),
        ("0001-01-01T00:00:00+01:00", "no instant"),
        ("9999-12-31T23:59:59-01:00", "no instant"),
        ("2026-06-01T00:01:01Z", "future"),
        ("9999-12-31T23:59:59Z", "future"),
        (1_780_000_000, "zone"),
        (["2026-05-31T23:59:59Z"], "zone"),
        (True, "zone"),
        ("", "zone"),
        ("9" * 100_000, "zone"),
    ],
)
def test_a_timestamp_without_a_zone_or_from_the_future_is_refused(value: Any, word: str):
    error = refused(question(timestamp=value), 422)
    assert "timestamp" in error
    assert word in error


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_corrupted_bytes_are_read_or_refused_and_nothing_else(data: st.DataObject):
    body = bytearray(json.dumps(question(timestamp="2026-05-31T23:59:59Z")).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(RefusedError):
        asked = read(bytes(body))
        assert asked.window.shape == (STEPS, 3)
        assert not np.isinf(asked.window).any()


def outputs(score: float = 5.0, threshold: float = 2.0) -> dict[str, Any]:
    """Outputs of two windows; the second one is asked about."""
    return {
        "score": np.array([np.nan, score], np.float32),
        "threshold": np.array([np.nan, threshold], np.float32),
        "contribution": np.array([[9, 9, 9], [1, 3, 2]], np.float32),
    }


def said(found: dict[str, Any], unit: str = "node-03") -> dict[str, Any]:
    return answer(Question(unit, WINDOW), found, 1, signature=SIGNATURE)


def test_an_answer_is_the_row_of_the_outputs_with_the_largest_contributions_first():
    assert said(outputs()) == {
        "unit": "node-03",
        "score": 5.0,
        "alarm": True,
        "threshold": 2.0,
        "contributions": [
            {"column": "temperature", "contribution": 3.0},
            {"column": "load", "contribution": 2.0},
            {"column": "power", "contribution": 1.0},
        ],
        "unknown_unit": False,
    }


def test_no_more_than_three_contributions_are_named_and_equal_ones_in_the_order_of_columns():
    wide = SIGNATURE.model_copy(
        update={"columns": tuple(COLUMNS[0].model_copy(update={"name": name}) for name in "abcde")}
    )
    found = {"score": np.ones(1), "contribution": np.array([[1, 2, np.nan, 2, 3]])}
    named = answer(Question("x", WINDOW), found, 0, signature=wide)["contributions"]
    assert [one["column"] for one in named] == ["e", "b", "d"]


@pytest.mark.parametrize(
    ("score", "threshold", "alarm"),
    [(2.0, 2.0, False), (np.nan, 2.0, None), (2.0, np.nan, None), (np.inf, 2.0, None), (2.0, -np.inf, None)],
)
def test_only_a_score_over_the_threshold_is_an_alarm_and_what_is_undefined_is_null(
    score: float, threshold: float, alarm: bool | None
):
    answered = said(outputs(score, threshold))
    assert answered["alarm"] is alarm
    assert answered["score"] == (score if math.isfinite(score) else None)
    assert answered["threshold"] == (threshold if math.isfinite(threshold) else None)
    json.dumps(answered, allow_nan=False)


def test_a_graph_with_a_score_alone_decides_nothing():
    answered = said({"score": np.ones(2, np.float32)})
    assert (answered["score"], answered["threshold"], answered["alarm"], answered["contributions"]) == (
        1,
        None,
        None,
        [],
    )


def test_an_unknown_unit_is_said_to_be_one():
    assert said(outputs(), unit="node-99")["unknown_unit"] is True


def test_a_summary_says_what_answers_and_how_to_ask(tmp_path):
    candidate = write_candidate(tmp_path)
    told = SimpleNamespace(**summary(SIGNATURE, candidate))
    assert (told.digest, told.data, told.steps) == (candidate.digest, candidate.data, STEPS)
    assert [(column["name"], column["unit"]) for column in told.columns] == [(one.name, one.unit) for one in COLUMNS]
    json.dumps(summary(SIGNATURE, candidate))
