"""What /feedback accepts and what it refuses, by name."""

import orjson
import pytest

from wattline.serving.protocol.feedback import Feedback, parse
from wattline.serving.refusal import RefusedError


def test_one_remark_or_a_list_of_them_in_order():
    assert parse(b'{"id": "a", "label": 1}') == (Feedback("a", 1),)
    body = b'{"items": [{"id": "a", "label": 1}, {"id": "a", "label": null, "comment": ""}]}'
    assert parse(body) == (Feedback("a", 1), Feedback("a", None, comment=""))
    assert parse(b'{"id": "a", "label": 1.0}')[0].label == 1


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-10T12:00:00.5+02:00", 1773136800500000),
        ("2026-03-10t10:00:00z", 1773136800000000),
        ("2026-03-10 10:00:00.123456789-00:00", 1773136800123456),
    ],
)
def test_instants_are_understood_in_every_form_of_rfc_3339(text, microseconds):
    (item,) = parse(orjson.dumps({"id": "a", "label": 0, "at": text}))
    assert item.at == microseconds


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"label": 1}, "the body lacks id"),
        ({"id": "a"}, "the body lacks label"),
        ({"id": "a", "label": 1, "lable": 1}, "unknown field lable; known: id, label, comment, at"),
        ({"id": "", "label": 1}, "id must have 1 to 100 characters, got 0"),
        ({"id": "a" * 101, "label": 1}, "id must have 1 to 100 characters, got 101"),
        ({"id": 7, "label": 1}, "id must be a string, got 7"),
        ({"id": "a", "label": True}, "label must be 0, 1 or null, got true"),
        ({"id": "a", "label": "1"}, "label must be 0, 1 or null, got the string '1'"),
        ({"id": "a", "label": 2}, "label must be 0, 1 or null, got 2"),
        ({"id": "a", "label": 0.5}, "label must be 0, 1 or null, got 0.5"),
        ({"id": "a", "label": [0]}, "label must be 0, 1 or null, got a list of 1"),
        ({"id": "a", "label": 1, "comment": "c" * 1001}, "comment must have 0 to 1000 characters, got 1001"),
        ({"id": "a", "label": 1, "comment": None}, "comment must be a string, got null"),
        ({"id": "a", "label": 1, "at": "2026-03-10T12:00:00"}, "at must be a time after 1970 with its zone"),
        ({"id": "a", "label": 1, "at": "2026-02-30T12:00:00Z"}, "at must be a time after 1970 with its zone"),
        ({"id": "a", "label": 1, "at": "2026-03-10T12:00:00+25:00"}, "at must be a time after 1970"),
        ({"id": "a", "label": 1, "at": "0001-01-01T00:00:00+23:59"}, "at must be a time after 1970"),
        ({"id": "a", "label": 1, "at": "1969-12-31T23:59:59Z"}, "at must be a time after 1970"),
        ({"id": "a", "label": 1, "at": "\u0662\u0660\u0662\u0666-03-10T12:00:00Z"}, "at must be a time"),
        ({"id": "a", "label": 1, "at": 1773136800}, "at must be a time after 1970"),
        ({"items": []}, "items must be a list of 1 to 1000 objects, got a list of 0"),
        ({"items": {}}, "items must be a list of 1 to 1000 objects, got an object of 0"),
        ({"items": [{"id": "a", "label": 1}], "label": 1}, "label cannot stand beside items"),
        ({"items": [{"id": "a", "label": 1}, 3]}, r"items\[1\] must be an object, got 3"),
        ({"items": [{"id": "a", "label": 1}, {"id": "b"}]}, r"items\[1\] lacks label"),
        ({"items": [{"id": "a", "label": 3}]}, r"items\[0\].label must be 0, 1 or null, got 3"),
        ([], "the body must be a JSON object, got a list of 0"),
        (None, "the body must be a JSON object, got null"),
    ],
)
def test_what_is_wrong_is_named(content, message):
    with pytest.raises(RefusedError, match=message) as error:
        parse(orjson.dumps(content))
    assert error.value.status == 422
    assert len(str(error.value)) < 300


def test_a_thousand_items_are_accepted_and_one_more_is_not():
    item = {"id": "a", "label": 1, "comment": "c" * 1000}
    assert len(parse(orjson.dumps({"items": [item] * 1000}))) == 1000
    with pytest.raises(RefusedError, match="got a list of 1001"):
        parse(orjson.dumps({"items": [item] * 1001}))


@pytest.mark.parametrize("body", [b"", b"{", b'{"id": "a", "label": NaN}', b'{"id": "\\ud800", "label": 1}', b"\xff"])
def test_what_is_not_json_is_a_bad_request(body):
    with pytest.raises(RefusedError) as error:
        parse(body)
    assert error.value.status == 400
