"""The API: what is asked well is answered, and whatever is wrong with a request is said, by name, with a 4xx."""

import gzip
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.builders import CENTERS, STEPS, THRESHOLD
from tests.serving.assembled import under_uvicorn
from tests.serving.running import NAMES, NO_DRAIN, QUESTION, ROW, Running, client, prepare, running

SHAPE = [1, STEPS, len(NAMES)]
VALUES = [float(at) for at in range(STEPS * len(NAMES))]
INPUTS = [
    {"name": "window", "shape": SHAPE, "datatype": "FP32", "data": VALUES},
    {"name": "unit", "shape": [1], "datatype": "INT64", "data": [0]},
]
INFER = "/v2/models/anomaly/infer"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"body_bytes": 65536, "request_windows": 64}
    with running(prepare(tmp_path_factory.mktemp("server"), {**NO_DRAIN, "limits": limits})) as found:
        yield found


@pytest.fixture(scope="module")
def caller(server: Running) -> Iterator[httpx.Client]:
    with client(server.address) as found:
        yield found


def mean_deviation(values: list[float], unit: int) -> float:
    """What the graph of tests/builders.py answers."""
    return float(np.mean(np.abs(np.array(values) - CENTERS[unit])))


def test_a_window_by_column_name_gets_score_alarm_threshold_and_the_largest_contributions(caller: httpx.Client):
    answer = caller.post("/predict", json={"unit": "node-02", "rows": [{"power": 9, "temperature": 2, "load": 3}] * 4})
    found = answer.json()
    assert answer.status_code == 200
    assert found["score"] == pytest.approx((7 + 0 + 1) / 3, rel=1e-6)
    assert (found["alarm"], found["threshold"], found["unknown_unit"]) == (True, THRESHOLD, False)
    assert [one["column"] for one in found["contributions"]] == ["power", "load", "temperature"]
    assert (found["model"]["name"], found["model"]["version"]) == ("anomaly", "1")
    assert found["id"]


def test_the_order_of_columns_in_a_row_does_not_matter(caller: httpx.Client):
    row = {"power": 1, "temperature": 2, "load": 3}
    turned = dict(reversed(row.items()))
    scores = [
        caller.post("/predict", json={"unit": "node-01", "rows": [one] * 4}).json()["score"] for one in (row, turned)
    ]
    assert scores[0] == scores[1]


def test_an_unknown_unit_is_answered_with_the_pooled_constants_and_says_so(caller: httpx.Client):
    found = caller.post("/predict", json={**QUESTION, "unit": "never seen"}).json()
    assert found["unknown_unit"] is True


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"unit": ""}, 422, "unit"),
        ({"unit": 7}, 422, "unit"),
        ({"unit": None}, 422, "unit"),
        ({"rows": []}, 422, "rows"),
        ({"rows": [ROW] * 3}, 422, "rows"),
        ({"rows": [ROW] * 5}, 422, "rows"),
        ({"rows": "four"}, 422, "rows"),
        ({"rows": [ROW, ROW, ROW, 7]}, 422, "rows[3]"),
        ({"rows": [ROW, ROW, {**ROW, "power": "1"}, ROW]}, 422, "power"),
        ({"rows": [ROW, ROW, {**ROW, "power": True}, ROW]}, 422, "power"),
        ({"rows": [ROW, ROW, {**ROW, "power": 1e39}, ROW]}, 422, "power"),
        ({"rows": [ROW, ROW, {**ROW, "power": [1]}, ROW]}, 422, "power"),
        ({"rows": [{"power": 1, "load": 2}] * 4}, 422, "temperature"),
        ({"rows": [{**ROW, "fan": 1}] * 4}, 422, "fan"),
        ({"surplus": 1}, 422, "surplus"),
        ({"timestamp": "2026-01-01T00:00:00"}, 422, "timestamp"),
        ({"timestamp": "2100-01-01T00:00:00Z"}, 422, "timestamp"),
        ({"timestamp": "yesterday"}, 422, "timestamp"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_by_the_name_of_its_field(
    caller: httpx.Client, change: dict[str, Any], status: int, word: str
):
    answer = caller.post("/predict", json={**QUESTION, **change})
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert word in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b'{"unit": NaN}', b"[" * 5000, b'{"unit":"a","unit":"b"}'],
)
@pytest.mark.parametrize("path", ["/predict", INFER, "/observe", "/feedback"])
def test_what_is_no_request_is_refused(caller: httpx.Client, path: str, body: bytes):
    answer = caller.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/observe", "/feedback", INFER, "/admin/canary"])
def test_a_body_of_another_type_is_refused(caller: httpx.Client, path: str):
    answer = caller.post(path, content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert "text/plain" in answer.json()["error"]


def test_tensors_in_json_and_in_binary_get_the_same_answer(caller: httpx.Client):
    plain = caller.post(INFER, json={"id": "seven", "inputs": INPUTS}).json()
    assert (plain["id"], plain["model_name"], plain["model_version"]) == ("seven", "anomaly", "1")
    scores = {output["name"]: output["data"] for output in plain["outputs"]}
    assert scores["score"] == [pytest.approx(mean_deviation(VALUES, 0), rel=1e-6)]
    assert np.float32(binary_score(caller)) == np.float32(scores["score"][0])


def binary_score(caller: httpx.Client, **headers: str) -> float:
    """The score of the same window, asked and answered in binary."""
    raw = np.array(VALUES, np.float32).tobytes() + np.array([0], np.int64).tobytes()
    described = [
        {
            "name": one["name"],
            "shape": one["shape"],
            "datatype": one["datatype"],
            "parameters": {"binary_data_size": size},
        }
        for one, size in zip(INPUTS, (4 * len(VALUES), 8), strict=True)
    ]
    wanted = [{"name": "score", "parameters": {"binary_data": True}}]
    text = json.dumps({"inputs": described, "outputs": wanted}).encode()
    body = text + raw
    if "Content-Encoding" in headers:
        body = gzip.compress(body)
    answer = caller.post(INFER, content=body, headers={"Inference-Header-Content-Length": str(len(text)), **headers})
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output["parameters"]["binary_data_size"] == 4
    return float(np.frombuffer(answer.content[length:], np.float32)[0])


def test_a_compressed_request_gets_the_same_answer(caller: httpx.Client):
    assert binary_score(caller, **{"Content-Encoding": "gzip"}) == binary_score(caller)


def test_a_version_can_be_asked_for_by_name(caller: httpx.Client):
    assert caller.post("/v2/models/anomaly/versions/1/infer", json={"inputs": INPUTS}).status_code == 200


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v2/models/other/infer", "other"),
        ("/v2/models/anomaly/versions/9/infer", "9"),
        ("/v2/models/a%2Fb/infer", "a/b"),
    ],
)
def test_a_model_or_version_that_is_not_here_is_404(caller: httpx.Client, path: str, word: str):
    answer = caller.post(path, json={"inputs": INPUTS})
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert word in answer.json()["error"]


def changed(tensor: int = 0, **values: Any) -> dict[str, Any]:
    inputs = [dict(one) for one in INPUTS]
    inputs[tensor].update(values)
    return {"inputs": inputs}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": INPUTS[:1]}, "unit"),
        ({"inputs": [*INPUTS, INPUTS[0]]}, "window"),
        (changed(name="windows"), "windows"),
        (changed(datatype="FP64"), "window"),
        (changed(datatype="BYTES"), "window"),
        (changed(shape=[1, STEPS, 4]), "window"),
        (changed(shape=[-1, STEPS, 3]), "window"),
        (changed(shape=[0, STEPS, 3]), "window"),
        (changed(shape=[10**12, STEPS, 3]), "window"),
        (changed(shape=[2**62, 4, 2**62]), "window"),
        (changed(shape=[1.0, STEPS, 3]), "window"),
        (changed(shape="1"), "window"),
        (changed(shape=[]), "window"),
        (changed(data=VALUES[:-1]), "window"),
        (changed(data=[*VALUES[:-1], None]), "window"),
        (changed(data=[*VALUES[:-1], "1"]), "window"),
        (changed(data=[*VALUES[:-1], True]), "window"),
        (changed(data=[*VALUES[:-1], 1e39]), "window"),
        (changed(data=None), "window"),
        (changed(1, data=[1.5]), "unit"),
        (changed(1, data=[2**70]), "unit"),
        ({"inputs": INPUTS, "outputs": [{"name": "nothing"}]}, "nothing"),
        ({"inputs": INPUTS, "outputs": [{"name": "score"}, {"name": "score"}]}, "score"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(caller: httpx.Client, body: dict[str, Any], word: str):
    answer = caller.post(INFER, json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert word in answer.json()["error"]


def test_an_oversized_body_is_413_and_the_next_caller_is_served(caller: httpx.Client):
    answer = caller.post("/predict", content=b" " * 65537, headers={"Content-Type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (413, ["error"])
    bomb = gzip.compress(b" " * 50_000_000)
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert caller.post("/predict", content=bomb[:60_000], headers=packed).status_code == 413
    assert caller.post("/predict", json=QUESTION).status_code == 200


def test_a_deadline_that_has_passed_is_504(caller: httpx.Client):
    many = {
        "inputs": [
            {**INPUTS[0], "shape": [64, *SHAPE[1:]], "data": VALUES * 64},
            {**INPUTS[1], "shape": [64], "data": [0] * 64},
        ]
    }
    statuses = {caller.post(INFER, json=many, headers={"X-Deadline-Ms": "1"}).status_code for _ in range(20)}
    assert statuses <= {200, 504}
    assert caller.post(INFER, json=many).status_code == 200


def test_metadata_says_how_to_ask(caller: httpx.Client):
    found = caller.get("/v2/models/anomaly").json()
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["inputs"]] == [
        ("window", "FP32", [-1, STEPS, 3]),
        ("unit", "INT64", [-1]),
    ]
    assert found["versions"] == ["1"]
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/anomaly/ready", "/livez", "/readyz"):
        assert caller.get(path).status_code == 200


def test_the_model_page_shows_what_was_signed(caller: httpx.Client):
    found = caller.get("/model").json()
    predicate = found["statement"]["predicate"]
    assert (predicate["version"], predicate["commit"]) == ("1", "c" * 40)
    assert found["roles"]["stable"]["version"] == "1"
    assert [column["name"] for column in found["columns"]] == NAMES


def test_wrong_paths_and_methods_are_said_so(caller: httpx.Client):
    assert (caller.get("/nothing").status_code, list(caller.get("/nothing").json())) == (404, ["error"])
    answer = caller.get("/predict")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_openapi_describes_every_route_with_an_example_where_there_is_a_body(caller: httpx.Client):
    document = caller.get("/openapi.json").json()
    assert {"/predict", "/predict/batch", "/observe", "/feedback", "/model", "/metrics"} <= document["paths"].keys()
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            assert described["summary"], (path, method)
            for content in described.get("requestBody", {}).get("content", {}).values():
                assert "example" in content["schema"] or content["schema"].get("format") == "binary"


def test_a_sample_at_a_time_fills_a_window_and_is_then_scored(caller: httpx.Client):
    states = []
    for minute in range(STEPS):
        sample = {
            "unit": "node-03",
            "timestamp": f"2026-01-01T00:0{minute}:00Z",
            "values": dict(zip(NAMES, (4, 3, 3), strict=True)),
        }
        (answer,) = caller.post("/observe", json=sample).json()["answers"]
        states.append(answer["state"])
    assert states == ["filling"] * (STEPS - 1) + ["complete"]
    assert answer["score"] == pytest.approx(1 / 3, rel=1e-6)


def test_an_answer_takes_feedback_by_its_id(server: Running, caller: httpx.Client):
    name = caller.post("/predict", json=QUESTION).json()["id"]
    accepted = caller.post("/feedback", json={"id": name, "label": 1, "comment": "fan"})
    assert (accepted.status_code, accepted.json()) == (202, {"accepted": 1})


def test_metrics_count_what_happened(caller: httpx.Client):
    def count(pattern: str) -> float:
        lines = caller.get("/metrics").text.splitlines()
        return math.fsum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(pattern))

    before = count('wattline_requests_total{code="200",method="POST",route="/predict"}')
    caller.post("/predict", json=QUESTION)
    assert count('wattline_requests_total{code="200",method="POST",route="/predict"}') == before + 1


def test_energy_of_running_graphs_grows_with_them_and_is_part_of_the_servers(caller: httpx.Client):
    def joules(name: str) -> float:
        lines = caller.get("/metrics").text.splitlines()
        (found,) = [line for line in lines if line.startswith(f"wattline_{name}{{")]
        assert 'provenance="estimated"' in found
        return float(found.rsplit(" ", 1)[1])

    before = joules("inference_energy_joules_total")
    deadline = time.monotonic() + 20
    while joules("inference_energy_joules_total") <= before:
        assert time.monotonic() < deadline, "running graphs took nothing"
        caller.post("/predict", json=QUESTION)
    assert joules("inference_energy_joules_total") < joules("energy_joules_total")


def test_the_application_answers_alike_under_another_server(tmp_path: Path):
    """The FastAPI application under uvicorn: the same routes, the same refusals."""
    with under_uvicorn(tmp_path) as address, client(address) as other:
        assert other.post("/predict", json=QUESTION).json()["unit"] == "node-01"
        assert other.post(INFER, json={"inputs": INPUTS}).status_code == 200
        refused = other.post("/predict", json={**QUESTION, "unit": ""})
        assert (refused.status_code, list(refused.json())) == (422, ["error"])
        large = other.post("/predict", content=b" " * 20_000_000, headers={"Content-Type": "application/json"})
        assert (large.status_code, list(large.json())) == (413, ["error"])
        assert list(other.get("/nothing").json()) == ["error"]
