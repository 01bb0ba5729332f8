"""The Open Inference Protocol: what real clients send is read, everything else is refused with its field named."""

import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from builders import STEPS, UNITS, mean_abs, signature
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wattline.serving.protocol import openinference
from wattline.serving.protocol.openinference import Inference, encode
from wattline.serving.refusal import RefusedError

from .messages import (
    MOST_WINDOWS,
    NAMES,
    SIGNATURE,
    binary_inputs,
    check_inference,
    inputs,
    tensor,
    windows,
    with_bytes,
)

WINDOW = [2, STEPS, len(NAMES)]
ANSWERS = {
    "score": np.array([1.5, 2.5], np.float32),
    "threshold": np.array([2, 2], np.float32),
    "contribution": np.arange(6, dtype=np.float32).reshape(2, 3),
}


def decode(body: Any, header_length: str | None = None, *, maximum_windows: int = MOST_WINDOWS) -> Inference:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return openinference.decode(text, header_length=header_length, signature=SIGNATURE, maximum_windows=maximum_windows)


def refused(body: Any, header_length: str | None = None) -> str:
    with pytest.raises(RefusedError) as refusal:
        decode(body, header_length)
    assert refusal.value.status == 400
    return str(refusal.value)


def request(**changes: Any) -> dict[str, Any]:
    return {"inputs": inputs(windows(2), [0, 2])} | changes


def changed(at: int, **changes: Any) -> dict[str, Any]:
    """The request with other keys in one of its inputs; those that are ... are left out."""
    both = inputs(windows(2), [0, 2])
    both[at] = {key: value for key, value in (both[at] | changes).items() if value is not ...}
    return {"inputs": both}


def with_data(place: int, value: Any) -> dict[str, Any]:
    data = inputs(windows(2), [0, 2])[0]["data"]
    data[place] = value
    return changed(0, data=data)


def binary(at: int = 0, raw: bytes | None = None, **changes: Any) -> tuple[bytes, str]:
    """The request in bytes, with other keys in one of its inputs."""
    described, own = binary_inputs(windows(2), [0, 2])
    described[at] |= changes
    return with_bytes({"inputs": described}, own if raw is None else raw)


@pytest.mark.parametrize("nested", [False, True])
def test_json_tensors_are_read_flat_and_nested(nested: bool):
    inference = decode({"inputs": inputs(windows(2), [0, 2], nested=nested)})
    np.testing.assert_array_equal(inference.windows, windows(2))
    assert inference.windows.dtype == np.float32
    assert inference.units.tolist() == [0, 2]
    assert inference.units.dtype == np.int64
    assert inference.id is None
    assert inference.outputs == (("score", False), ("threshold", False), ("contribution", False))


@pytest.mark.parametrize("padding", range(9))
def test_binary_tensors_are_read_aligned_wherever_the_json_ends(padding: int):
    described, raw = binary_inputs(windows(2), [0, 2])
    inference = decode(*with_bytes({"inputs": described, "model_name": "x" * padding}, raw))
    np.testing.assert_array_equal(inference.windows, windows(2))
    assert inference.units.tolist() == [0, 2]
    assert inference.windows.flags.aligned
    assert inference.units.flags.aligned


@given(
    arrays.arrays(np.float32, (2, STEPS, 3), elements=st.floats(width=32, allow_infinity=False, allow_nan=False)),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
)
@settings(max_examples=50, deadline=None)
def test_bytes_and_json_in_any_order_say_the_same(values: Any, units: list[int]):
    both, nested = inputs(values, units), inputs(values, units, nested=True)
    described, raw = binary_inputs(values, units)
    backwards = raw[values.nbytes :] + raw[: values.nbytes]
    mixed = with_bytes({"inputs": [both[0], described[1]]}, raw[values.nbytes :])
    for body, length in (
        (json.dumps({"inputs": both}).encode(), None),
        (json.dumps({"inputs": nested[::-1]}).encode(), None),
        with_bytes({"inputs": described}, raw),
        with_bytes({"inputs": described[::-1]}, backwards),
        mixed,
    ):
        inference = decode(body, length)
        assert inference.windows.tobytes() == values.tobytes()
        assert inference.units.tolist() == units


@given(
    st.lists(
        st.tuples(st.sampled_from(["score", "threshold", "contribution"]), st.booleans()), unique_by=lambda o: o[0]
    )
)
@settings(max_examples=50, deadline=None)
def test_what_is_encoded_can_be_decoded_by_a_client_as_it_was(wanted: list[tuple[str, bool]]):
    asked = [{"name": name, "parameters": {"binary_data": raw}} for name, raw in wanted]
    inference = decode(request(outputs=asked, id="one"))
    body, length = encode(inference, ANSWERS, signature=SIGNATURE, model_name="m", model_version="3")
    reply = json.loads(body[:length])
    assert (reply["model_name"], reply["model_version"], reply["id"]) == ("m", "3", "one")
    assert (length is not None) == any(raw for _, raw in wanted)
    rest = body[length:] if length is not None else b""
    for entry, (name, raw) in zip(reply["outputs"], wanted or [(name, False) for name in ANSWERS], strict=True):
        assert (entry["name"], entry["datatype"], entry["shape"]) == (name, "FP32", list(ANSWERS[name].shape))
        if raw:
            size = entry["parameters"]["binary_data_size"]
            values, rest = np.frombuffer(rest[:size], "<f4"), rest[size:]
        else:
            values = np.array(entry["data"], np.float32)
        np.testing.assert_array_equal(values, ANSWERS[name].ravel())
    assert rest == b""


def test_answers_that_are_not_finite_are_null_in_json_and_themselves_in_bytes():
    answers = {"score": np.array([np.nan, np.inf], np.float32)}
    flags = [{"name": "score", "parameters": {"binary_data": flag}} for flag in (True, False)]
    body, length = encode(
        decode(request(outputs=flags[:1])), answers, signature=SIGNATURE, model_name="m", model_version="1"
    )
    np.testing.assert_array_equal(np.frombuffer(body[length:], "<f4"), answers["score"])
    body, _ = encode(
        decode(request(outputs=flags[1:])), answers, signature=SIGNATURE, model_name="m", model_version="1"
    )
    assert json.loads(body)["outputs"][0]["data"] == [None, None]


def test_a_version_that_lacks_an_output_says_so():
    inference = decode(request(outputs=[{"name": "threshold"}]))
    with pytest.raises(RefusedError, match="threshold is not given by version 2"):
        encode(inference, ANSWERS, signature=signature(optional=False), model_name="m", model_version="2")


def test_binary_answers_may_be_wanted_for_all_outputs_at_once_and_taken_back_for_one():
    everything = decode(request(parameters={"binary_data_output": True})).outputs
    assert everything == (("score", True), ("threshold", True), ("contribution", True))
    asked = [{"name": "threshold", "parameters": {"binary_data": False}}, {"name": "score"}]
    some = decode(request(parameters={"binary_data_output": True}, outputs=asked)).outputs
    assert some == (("threshold", False), ("score", True))


@pytest.mark.parametrize(
    "additions",
    [
        {"id": "7", "model_name": "anomaly"},
        {"id": None, "parameters": None, "outputs": None},
        {"outputs": []},
        {"parameters": {"content_type": "np", "headers": {}}},
        {"parameters": {"priority": 1, "timeout": 5}},
        {"model_version": "3", "anything": [1]},
    ],
)
def test_what_real_clients_add_is_accepted(additions: dict[str, Any]):
    inference = decode(request(**additions))
    assert inference.id == additions.get("id")
    assert len(inference.outputs) == 3


def test_a_missing_sample_is_nan_in_bytes():
    values = windows(2)
    values[1, 2, 0] = np.nan
    described, raw = binary_inputs(values, [0, 2])
    np.testing.assert_array_equal(decode(*with_bytes({"inputs": described}, raw)).windows, values)


def test_units_may_be_names_in_json_and_in_bytes():
    names = [UNITS[2], "näh", UNITS[0]]
    values = windows(3)
    as_json = {"name": "unit", "shape": [3], "datatype": "BYTES", "data": names}
    window = tensor("window", values, datatype="FP32")
    assert decode({"inputs": [window, as_json]}).units.tolist() == [2, -1, 0]
    raw = b"".join(struct.pack("<I", len(name.encode())) + name.encode() for name in names)
    as_bytes = {"name": "unit", "shape": [3], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    assert decode(*with_bytes({"inputs": [window, as_bytes]}, raw)).units.tolist() == [2, -1, 0]


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x01\x00\x00", struct.pack("<I", 9) + b"abc", struct.pack("<I", 2**32 - 1), struct.pack("<I", 1) + b"\xff"],
)
def test_strings_that_do_not_keep_their_lengths_are_refused(raw: bytes):
    described = {"name": "unit", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    window = tensor("window", windows(1), datatype="FP32")
    assert "unit" in refused(*with_bytes({"inputs": [window, described]}, raw))


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_strings_than_units_is_refused(count: int):
    raw = (struct.pack("<I", 8) + b"node-01x") * count
    described = {"name": "unit", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    window = tensor("window", windows(2), datatype="FP32")
    assert "2 strings" in refused(*with_bytes({"inputs": [window, described]}, raw))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ["empty"]),
        (b" \n", ["empty"]),
        (b"{", ["not valid JSON"]),
        (b"\xff\xfe", ["not valid JSON"]),
        (b"[" * 100_000, ["not valid JSON"]),
        (b'{"inputs":' + b"[" * 100_000, ["not valid JSON"]),
        ([], ["JSON object", "list"]),
        ("x", ["JSON object", "string"]),
        ({}, ["inputs", "null"]),
        (request(inputs=[]), ["inputs", "window and unit"]),
        (request(inputs={}), ["inputs", "object"]),
        (request(inputs=[1]), ["inputs[0]", "got 1"]),
        (request(inputs=inputs(windows(2), [0, 2])[:1]), ["lack unit"]),
        (request(inputs=inputs(windows(2), [0, 2])[1:]), ["lack window"]),
        (request(inputs=inputs(windows(2), [0, 2])[:1] * 2), ["window is given twice"]),
        (changed(0, name="Window"), ["inputs[0]", "'Window'", "window, unit"]),
        (changed(0, name=None), ["inputs[0].name", "null"]),
        (changed(0, name=["window"]), ["inputs[0].name", "list"]),
        (changed(0, datatype="FP64"), ["window", "FP32", "'FP64'"]),
        (changed(0, datatype="INT64"), ["window", "FP32"]),
        (changed(0, datatype=None), ["window", "datatype", "null"]),
        (changed(0, datatype=["FP32"]), ["window", "datatype", "list"]),
        (changed(1, datatype="FP32"), ["unit", "INT64"]),
        (changed(1, datatype="INT32"), ["unit", "INT64"]),
        (changed(0, shape=...), ["shape of window", "null"]),
        (changed(0, shape=[2, STEPS]), ["shape of window", "[2, 4]"]),
        (changed(0, shape=[2, 3, STEPS]), ["shape of window", "[windows, 4, 3]"]),
        (changed(0, shape=[0, STEPS, 3]), ["shape of window", "[0, 4, 3]"]),
        (changed(0, shape=[-2, STEPS, 3]), ["shape of window", "[-2, 4, 3]"]),
        (changed(0, shape=[10**12, STEPS, 3]), ["window holds 1000000000000 windows", "8"]),
        (changed(0, shape=[2**63, STEPS, 3]), ["window holds"]),
        (changed(0, shape=[2**62, 2**62, 2**62]), ["shape of window"]),
        (changed(0, shape=[2.0, STEPS, 3]), ["shape of window", "whole numbers", "2.0"]),
        (changed(0, shape=[True, STEPS, 3]), ["shape of window", "true"]),
        (changed(0, shape=["2", STEPS, 3]), ["shape of window", "string"]),
        (changed(0, shape=[[2], STEPS, 3]), ["shape of window", "list"]),
        (changed(0, shape="2,4,3"), ["shape of window", "string"]),
        (changed(0, shape=[1, STEPS, 3]), ["shape of unit", "[1]"]),
        (changed(0, shape=[MOST_WINDOWS + 1, STEPS, 3]), ["9 windows", "8"]),
        (changed(1, shape=[2, 1]), ["shape of unit", "[2]"]),
        (changed(1, shape=[]), ["shape of unit"]),
        (changed(0, data=...), ["window", "data", "binary_data_size"]),
        (changed(0, data=None), ["window", "data", "null"]),
        (changed(0, data="abc"), ["window", "data", "string"]),
        (changed(0, data={}), ["window", "data", "object"]),
        (changed(0, data=[]), ["data of window", "24 values", "0"]),
        (changed(0, data=[1.0] * 23), ["data of window", "24 values", "23"]),
        (changed(0, data=[1.0] * 25), ["data of window", "24 values", "25"]),
        (changed(0, data=[[1.0] * 12] * 2), ["data of window", "[2, 4, 3]"]),
        (changed(0, data=[[[1.0] * 3] * STEPS] * 3), ["data of window", "2 lists"]),
        (changed(0, data=[[[1.0] * 3] * STEPS, [[1.0] * 3] * 3]), ["data of window", "[2, 4, 3]"]),
        (changed(0, data=[[[1.0] * 3] * STEPS, 1.0]), ["data of window", "[2, 4, 3]"]),
        (changed(0, data=[[["abc"] * 3] * STEPS] * 2), ["window[0]", "string"]),
        (changed(0, data=[["abc"] * STEPS] * 2), ["data of window"]),
        (changed(0, data=[[[[1.0]] * 3] * STEPS] * 2), ["window[0]", "list"]),
        (with_data(7, None), ["window[7]", "null"]),
        (with_data(7, "1"), ["window[7]", "string"]),
        (with_data(7, True), ["window[7]", "true"]),
        (with_data(0, False), ["window[0]", "false"]),
        (with_data(23, [1]), ["window[23]", "list"]),
        (with_data(7, {}), ["window[7]", "object"]),
        (with_data(7, 1e39), ["window[7]", "float32"]),
        (with_data(7, -(10**60)), ["window[7]", "float32"]),
        (with_data(7, float("nan")), ["window[7]", "NaN"]),
        (with_data(7, float("-inf")), ["window[7]", "-Infinity"]),
        (changed(1, data=[0, 1.0]), ["unit[1]", "1.0"]),
        (changed(1, data=[0, True]), ["unit[1]", "true"]),
        (changed(1, data=[None, 0]), ["unit[0]", "null"]),
        (changed(1, data=["0", 0]), ["unit[0]", "string"]),
        (changed(1, data=[0, 2**63]), ["unit[1]", "64 bits"]),
        (changed(1, data=[[0], [1]]), ["unit[0]", "list"]),
        (changed(1, data=[0]), ["data of unit", "2 values"]),
        (changed(1, datatype="BYTES"), ["unit[0]", "name of a unit"]),
        (changed(0, parameters={"binary_data_size": 96}), ["window", "both"]),
        (changed(0, data=..., parameters={"binary_data_size": 96}), ["window", "Inference-Header-Content-Length"]),
        (changed(0, parameters=[1]), ["parameters of input window", "list"]),
        (changed(0, parameters={"shared_memory_region": "x"}), ["shared_memory_region", "input window"]),
        (request(parameters={"sequence_id": 3}), ["sequence_id", "the request"]),
        (request(parameters="x"), ["parameters of the request", "string"]),
        (request(parameters={"binary_data_output": 1}), ["binary_data_output", "true or false"]),
        (request(outputs={}), ["outputs", "object"]),
        (request(outputs=["score"]), ["outputs[0]", "string"]),
        (request(outputs=[{"name": "scores"}]), ["outputs[0]", "'scores'", "score, threshold"]),
        (request(outputs=[{}]), ["outputs[0].name"]),
        (request(outputs=[{"name": "score"}] * 2), ["output score is given twice"]),
        (request(outputs=[{"name": "score", "parameters": {"classification": 2}}]), ["classification", "output score"]),
        (request(outputs=[{"name": "score", "parameters": {"binary_data": "yes"}}]), ["binary_data", "output score"]),
        (request(id=3), ["id", "string"]),
        (request(id="x" * 2000), ["id", "1024"]),
    ],
)
def test_a_malformed_request_is_refused_with_its_field_named(body: Any, words: list[str]):
    error = refused(body)
    assert [word for word in words if word not in error] == []
    assert len(error) < 400


SIZE = 2 * STEPS * 3 * 4
BYTES = windows(2).tobytes() + np.array([0, 2]).tobytes()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (binary(raw=b""), [f"{SIZE + 16} bytes", "got 0"]),
        (binary(raw=BYTES[:-1]), [f"{SIZE + 16} bytes"]),
        (binary(raw=BYTES + b"\0"), [f"{SIZE + 16} bytes"]),
        (binary(parameters={"binary_data_size": SIZE - 4}), ["binary_data_size of window", str(SIZE)]),
        (binary(parameters={"binary_data_size": SIZE + 4}), ["binary_data_size of window", str(SIZE)]),
        (binary(parameters={"binary_data_size": -SIZE}), ["binary_data_size of window", "-96"]),
        (binary(parameters={"binary_data_size": float(SIZE)}), ["binary_data_size of window", "96.0"]),
        (binary(parameters={"binary_data_size": True}), ["binary_data_size of window", "true"]),
        (binary(parameters={"binary_data_size": str(SIZE)}), ["binary_data_size of window", "string"]),
        (binary(parameters={"binary_data_size": 10**30}), ["binary_data_size of window"]),
        (binary(parameters={}), ["window", "data"]),
        (binary(data=[1.0]), ["window", "both"]),
        (binary(1, parameters={"binary_data_size": 8}), ["binary_data_size of unit", "16"]),
        (binary(shape=[10**12, STEPS, 3]), ["window holds"]),
        (binary(shape=[4, STEPS, 3]), ["shape of unit"]),
        (binary(datatype="BYTES"), ["datatype of window"]),
        (binary(raw=BYTES.replace(BYTES[4:8], struct.pack("<f", np.inf))), ["window[1]", "infinite"]),
        (binary(raw=BYTES.replace(BYTES[40:44], struct.pack("<f", -np.inf))), ["window[10]", "infinite"]),
    ],
)
def test_bytes_that_are_not_what_the_json_says_are_refused(message: tuple[bytes, str], words: list[str]):
    error = refused(*message)
    assert [word for word in words if word not in error] == []


@pytest.mark.parametrize(
    "length", ["", "-1", "+3", "1e2", "0x10", " 12", "12 ", "1_0", "\u0661", "9" * 30, "99999", "0", "10", "NaN"]
)
def test_a_header_length_that_lies_is_refused(length: str):
    body, _ = binary()
    assert refused(body, length)


def test_a_header_length_up_to_the_end_of_a_json_request_is_true():
    body = json.dumps(request()).encode()
    np.testing.assert_array_equal(decode(body, str(len(body))).windows, windows(2))


def test_a_header_that_was_read_before_is_not_taken_for_another_model_limit_or_id():
    described, raw = binary_inputs(windows(2), [0, 2])
    for name in ("a", "b", None, "a"):
        body, length = with_bytes(({"id": name} if name else {}) | {"inputs": described}, raw)
        assert decode(body, length).id == name
    with pytest.raises(RefusedError, match="2 windows"):
        decode(body, length, maximum_windows=1)
    other = signature(steps=STEPS + 1)
    with pytest.raises(RefusedError, match=r"\[windows, 5, 3\]"):
        openinference.decode(body, header_length=length, signature=other, maximum_windows=8)
    np.testing.assert_array_equal(decode(body, length).windows, windows(2))


@pytest.mark.parametrize("start", ['{"id":"a","id":"b",', '{"id":"a\\u0062",', '{"id":"a" , "model_name":"\\"id\\"",'])
def test_an_unusual_id_is_the_one_that_json_says_however_often_it_comes(start: str):
    described, raw = binary_inputs(windows(2), [0, 2])
    text = start + json.dumps({"inputs": described})[1:]
    for _ in range(2):
        assert decode(text.encode() + raw, str(len(text))).id == json.loads(text)["id"]


def test_what_is_left_of_a_remembered_header_without_its_id_is_still_no_json():
    described, raw = binary_inputs(windows(2), [0, 2])
    rest = json.dumps({"inputs": described})[1:]
    whole = '{"id":"a",' + rest
    assert decode(whole.encode() + raw, str(len(whole))).id == "a"
    assert "not valid JSON" in refused(rest.encode() + raw, str(len(rest)))


def test_remembered_headers_are_bounded():
    described, raw = binary_inputs(windows(2), [0, 2])
    for number in range(2 * openinference.REMEMBERED):
        decode(*with_bytes({"model_name": f"m{number}", "inputs": described}, raw))
        assert len(openinference._remembered) <= openinference.REMEMBERED
    decode(*with_bytes({"model_name": "m" * 10_000, "inputs": described}, raw))
    assert all(len(text) <= openinference.LONGEST_REMEMBERED for _, text in openinference._remembered)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_corrupted_bytes_are_read_or_refused_and_nothing_else(data: st.DataObject):
    body, length = binary() if data.draw(st.booleans()) else (json.dumps(request()).encode(), None)
    broken = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(RefusedError):
        check_inference(decode(bytes(broken), length))


def test_a_graph_gives_the_same_answers_to_bytes_and_json(tmp_path):
    from builders import write_candidate

    from wattline.serving.inference.engine import Engine

    write_candidate(tmp_path)
    engine = Engine(tmp_path)
    described, raw = binary_inputs(windows(2), [0, 2])
    for inference in (decode(request()), decode(*with_bytes({"inputs": described}, raw))):
        scores = engine.run(inference.windows, inference.units)["score"]
        np.testing.assert_allclose(scores, mean_abs(windows(2), np.array([0, 2])), rtol=1e-6)


def test_the_metadata_say_how_to_ask():
    server = openinference.server_metadata()
    assert (server["name"], server["extensions"]) == ("wattline", ["binary_tensor_data"])
    assert server["version"]
    assert openinference.model_metadata(SIGNATURE, "anomaly", ["3", "4"]) == {
        "name": "anomaly",
        "versions": ["3", "4"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "window", "datatype": "FP32", "shape": [-1, STEPS, 3]},
            {"name": "unit", "datatype": "INT64", "shape": [-1]},
        ],
        "outputs": [
            {"name": "score", "datatype": "FP32", "shape": [-1]},
            {"name": "threshold", "datatype": "FP32", "shape": [-1]},
            {"name": "contribution", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }


def test_big_numbers_that_round_to_the_largest_float32_are_no_fault():
    largest = float(np.finfo(np.float32).max)
    assert decode(with_data(0, largest)).windows.ravel()[0] == np.float32(largest)
    assert decode(with_data(0, largest * (1 + 2**-26))).windows.ravel()[0] == np.float32(largest)
    assert "window[1]" in refused(changed(0, data=[largest * (1 + 2**-26), largest * (1 + 2**-24)] + [0] * 22))


def test_an_id_that_is_written_twice_is_what_json_says_it_is():
    described, raw = binary_inputs(windows(2), [0, 2])
    body, length = with_bytes({"id": "a", "x": "a", "inputs": described}, raw)
    for leading, last in (("a", "a"), ("c", "a")):
        twice = body.replace(b'"id": "a"', f'"id": "{leading}"'.encode()).replace(b'"x"', b'"\\u0069d"')
        assert decode(twice, str(int(length) + 6)).id == last
