"""Numbers that are cut out of JSON: whatever a caller sends is read, or refused, as if it had been read as a whole."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.serving.protocol import cut

from .messages import both_ways, check_same, inputs, windows

WINDOW, UNIT = inputs(windows(2), [0, 2])
NUMBERS = json.dumps(WINDOW["data"])


def text(**changes: Any) -> str:
    return json.dumps({"inputs": [WINDOW, UNIT]} | changes)


def with_numbers(numbers: str) -> str:
    return text().replace(NUMBERS, numbers)


def entry(data: str) -> str:
    """A request whose window says `data` where its data would be."""
    return text().replace(f'"data": {NUMBERS}', data)


def test_a_usual_request_is_cut():
    body = text(id="a").encode()
    found = cut.numbers(body.replace(NUMBERS.encode(), NUMBERS.encode() + b" " * 300))
    assert found is not None
    rest, values = found
    assert cut.PLACEHOLDER.encode() in rest
    assert NUMBERS[1:-1].encode() not in rest
    np.testing.assert_array_equal(values, windows(2).ravel())


def test_what_is_cut_is_what_is_read():
    quick, whole = both_ways(text().encode())
    assert not isinstance(quick, str)
    assert not isinstance(whole, str)
    np.testing.assert_array_equal(quick.windows, whole.windows)


@pytest.mark.parametrize(
    "body",
    [
        text(id="a", outputs=[{"name": "score"}]),
        text(id='"data": [1, 2, 3]'),
        text(id="\\"),
        text(inputs=[UNIT, WINDOW]),
        text(inputs=[WINDOW, UNIT, WINDOW]),
        text(inputs=[UNIT | {"datatype": "FP32"}, WINDOW]),
        text(inputs=[dict(reversed(WINDOW.items())), UNIT]),
        text(inputs=[WINDOW | {"parameters": {"data": [1] * 24}}, UNIT]),
        text(inputs=[WINDOW | {"parameters": {"binary_data_size": 96}}, UNIT]),
        text(inputs=[WINDOW | {"shape": [1, 4, 3]}, UNIT]),
        text(inputs=[WINDOW | {"data": windows(2).tolist()}, UNIT]),
        text(inputs=[WINDOW, UNIT | {"data": ["node-01", "node-99"], "datatype": "BYTES"}]),
        text(data=[1.5] * 24),
        text().replace("data", "d\\u0061ta"),
        text() + "]",
        text()[:-1],
        with_numbers("[]"),
        with_numbers("[1, 2"),
        with_numbers("[[]]"),
        with_numbers(NUMBERS.replace(",", ", true,", 1)),
        with_numbers(NUMBERS.replace(",", ", null,", 1)),
        with_numbers(NUMBERS.replace(",", ", NaN,", 1)),
        with_numbers(NUMBERS.replace(",", ", 1e39,", 1)),
        with_numbers(NUMBERS.replace(",", ", 1e400,", 1)),
        with_numbers(NUMBERS.replace(",", ", [1],", 1)),
        with_numbers(NUMBERS.replace(",", ', "]",', 1)),
        with_numbers(NUMBERS.replace(",", f", {10**30},", 1)),
        with_numbers(NUMBERS.replace("[", "[01, ", 1)),
        with_numbers(f" \n\t{NUMBERS}"),
        with_numbers(f"{' ' * 20}{NUMBERS}"),
        with_numbers("[" + "-0, " * 23 + "-0.0]"),
        with_numbers(json.dumps([2**60 + at for at in range(24)])),
        entry(f'"data": [1], "data": {NUMBERS}'),
        entry(f'"data": {NUMBERS}, "data": [1]'),
        entry(f'"x\\"data": {NUMBERS}, "data": []'),
        entry(f'"x\\"data": {NUMBERS}, "data": {NUMBERS}'),
        entry(f'"data": "{cut.PLACEHOLDER}"'),
    ],
)
def test_unusual_requests_are_read_or_refused_as_a_whole_one_would_be(body: str):
    check_same(body.encode())


VALUES = st.one_of(
    st.floats(width=32, allow_nan=False),
    st.floats(allow_nan=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from([True, None, "1", [1.0], {}]),
)


@given(st.lists(VALUES, min_size=24, max_size=24))
def test_any_values_are_read_alike(values: list[Any]):
    check_same(with_numbers(json.dumps(values)).encode())


@given(st.binary(max_size=8), st.integers(0, len(text())), st.integers(0, 8))
def test_a_damaged_request_is_read_alike(patch: bytes, start: int, gone: int):
    body = text().encode()
    check_same(body[:start] + patch + body[start + gone :])
