"""Every well-formed question is answered, every malformed one is a 4xx that names the field."""

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from builders import COLUMNS, STEPS, THRESHOLD, mean_abs, scorer, signature, write_candidate
from fastapi import FastAPI

from wattline.serving import app as server

NAMES = [column.name for column in COLUMNS]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    write_candidate(tmp_path)
    return started(tmp_path)


def started(folder: Path) -> FastAPI:
    app = server.create_app(folder)
    app.state.slot.load()
    return app


def ask(app: FastAPI, method: str, path: str, **arguments: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **arguments)

    return anyio.run(send)


def question(**changes: Any) -> dict[str, Any]:
    rows = [{name: float(10 * step + place) for place, name in enumerate(NAMES)} for step in range(STEPS)]
    return {"unit": "node-03", "rows": rows} | changes


def refused(response: httpx.Response, status: int) -> str:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    return str(body["error"])


def test_an_answer_is_what_the_graph_computes(app: FastAPI):
    asked = question()
    body = ask(app, "POST", "/predict", json=asked).json()
    window = np.array([[[row[name] for name in NAMES] for row in asked["rows"]]], np.float32)
    assert body["score"] == pytest.approx(float(mean_abs(window, np.array([2]))[0]), rel=1e-6)
    assert body["unit"] == "node-03"
    assert body["threshold"] == THRESHOLD
    assert body["alarm"] is True
    assert body["unknown_unit"] is False
    assert body["model"] == {"digest": app.state.slot.engine.candidate.digest, "task": "anomaly"}


def test_contributions_are_the_three_largest_in_order(tmp_path: Path):
    columns = tuple(COLUMNS[0].model_copy(update={"name": f"c{place}"}) for place in range(5))
    write_candidate(tmp_path, columns)
    row = {"c0": 5.0, "c1": 0.0, "c2": 9.0, "c3": 7.0, "c4": 1.0}
    body = ask(started(tmp_path), "POST", "/predict", json={"unit": "?", "rows": [row] * STEPS}).json()
    assert body["contributions"] == [
        {"column": "c2", "contribution": 9.0},
        {"column": "c3", "contribution": 7.0},
        {"column": "c0", "contribution": 5.0},
    ]


def test_a_score_up_to_the_threshold_is_no_alarm(app: FastAPI):
    rows = [dict.fromkeys(NAMES, 3.0 + THRESHOLD)] * STEPS
    body = ask(app, "POST", "/predict", json=question(rows=rows)).json()
    assert (body["score"], body["alarm"]) == (THRESHOLD, False)


def test_a_graph_with_a_score_alone_decides_nothing(tmp_path: Path):
    write_candidate(tmp_path, model=scorer(optional=False), declared=signature(optional=False))
    body = ask(started(tmp_path), "POST", "/predict", json=question()).json()
    assert (body["alarm"], body["threshold"], body["contributions"]) == (None, None, [])
    assert body["score"] > 0


def test_null_is_a_missing_sample(app: FastAPI):
    rows = [dict.fromkeys(NAMES)] * (STEPS - 1) + [{"power": None, "temperature": 8, "load": 4}]
    body = ask(app, "POST", "/predict", json=question(rows=rows)).json()
    assert body["score"] == pytest.approx((5 + 1) / 12)


def test_columns_may_come_in_any_order(app: FastAPI):
    backwards = [dict(reversed(row.items())) for row in question()["rows"]]
    answers = [
        ask(app, "POST", "/predict", json=question(rows=rows)).json() for rows in (question()["rows"], backwards)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("unit", ["node-99", "NODE-03", "\u00fc\U0001f600", "a" * 10_000, "0", "-1"])
def test_an_unknown_unit_is_answered_with_pooled_parameters_and_said_so(app: FastAPI, unit: str):
    body = ask(app, "POST", "/predict", json=question(unit=unit)).json()
    assert body["unknown_unit"] is True
    assert body["unit"] == unit
    assert body["score"] == pytest.approx(np.mean([10 * step + place for step in range(STEPS) for place in range(3)]))


def rows_with(at: int, **changes: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = question()["rows"]
    rows[at] |= changes
    return rows


def without(at: int, name: str, **changes: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = question()["rows"]
    del rows[at][name]
    rows[at] |= changes
    return rows


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
        (question(rows=[None] * 4), ["rows[0]", "null"]),
        (question(rows=without(2, "load")), ["rows[2]", "lacks column load"]),
        (question(rows=rows_with(1, fan=3)), ["rows[1]", "unknown column fan"]),
        (question(rows=without(0, "power", Power=1)), ["lacks column power", "unknown column Power"]),
        (question(rows=rows_with(3, power="12")), ["rows[3].power", "string '12'"]),
        (question(rows=rows_with(3, power=True)), ["rows[3].power", "true"]),
        (question(rows=rows_with(0, load=[1])), ["rows[0].load", "list"]),
        (question(rows=rows_with(0, load={})), ["rows[0].load", "object"]),
        (question(rows=rows_with(0, load=1e39)), ["rows[0].load", "float32"]),
        (question(rows=rows_with(0, load=-(10**60))), ["rows[0].load", "float32"]),
        (question(unit=3), ["unit", "got 3"]),
        (question(unit=""), ["unit", "non-empty"]),
        (question(unit=None), ["unit", "null"]),
        (question(colour=1), ["unknown field colour"]),
        ({"unit": "node-03"}, ["lacks field rows"]),
        ({"rows": question()["rows"]}, ["lacks field unit"]),
        ({}, ["lacks field unit"]),
        ([], ["JSON object", "list"]),
        ("node-03", ["JSON object", "string"]),
        (None, ["JSON object", "null"]),
    ],
)
def test_a_malformed_question_is_refused_with_its_field_named(app: FastAPI, body: Any, words: list[str]):
    error = refused(ask(app, "POST", "/predict", content=json.dumps(body), headers=JSON), 422)
    assert [word for word in words if word not in error] == []


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_a_literal_that_is_not_json_is_refused_with_its_column_named(app: FastAPI, literal: str):
    value = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[literal]
    body = json.dumps(question(rows=rows_with(2, temperature=value)))
    error = refused(ask(app, "POST", "/predict", content=body, headers=JSON), 400)
    assert f"temperature is {literal}" in error
    assert "null" in error


@pytest.mark.parametrize(
    "body",
    [b"{", b"hello", b'{"unit": "\\ud800"}', b"\xff\xfe", b"[" * 100_000, b"[1e999]", b"{'unit': 1}", b'{"a":1}}'],
)
def test_what_is_not_json_is_refused(app: FastAPI, body: bytes):
    assert "not valid JSON" in refused(ask(app, "POST", "/predict", content=body, headers=JSON), 400)


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_refused(app: FastAPI, body: bytes):
    assert "empty" in refused(ask(app, "POST", "/predict", content=body, headers=JSON), 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
def test_another_content_type_is_refused(app: FastAPI, kind: str):
    response = ask(app, "POST", "/predict", content=json.dumps(question()), headers={"Content-Type": kind})
    assert "Content-Type" in refused(response, 415)


def test_a_content_type_with_a_charset_is_json(app: FastAPI):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(app, "POST", "/predict", content=json.dumps(question()), headers=headers).status_code == 200


def test_a_huge_body_is_refused_unread_when_announced_and_cut_off_when_not(app: FastAPI):
    consumed = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal consumed
        while True:
            consumed += 2**20
            yield b" " * 2**20

    assert "larger" in refused(ask(app, "POST", "/predict", content=endless(), headers=JSON), 413)
    assert consumed <= server.LARGEST_BODY + 2**21
    headers = JSON | {"Content-Length": str(10**12)}
    assert "larger" in refused(ask(app, "POST", "/predict", content=b"{}", headers=headers), 413)


def test_unknown_paths_and_methods_are_errors_of_the_same_shape(app: FastAPI):
    assert "/nowhere" in refused(ask(app, "GET", "/nowhere"), 404)
    assert "/predict/" in refused(ask(app, "POST", "/predict/", json=question()), 404)
    assert "GET /predict" in refused(ask(app, "GET", "/predict"), 405)


def test_the_model_is_described(app: FastAPI):
    body = ask(app, "GET", "/model").json()
    candidate = app.state.slot.engine.candidate
    assert body["digest"] == candidate.digest
    assert body["data"] == candidate.data
    assert body["steps"] == STEPS
    assert [(column["name"], column["unit"]) for column in body["columns"]] == [(c.name, c.unit) for c in COLUMNS]


def test_nothing_is_answered_before_the_model_is_loaded_but_the_process_lives(tmp_path: Path):
    write_candidate(tmp_path)
    app = server.create_app(tmp_path)
    assert ask(app, "GET", "/livez").status_code == 200
    for method, path in (("GET", "/readyz"), ("GET", "/model"), ("POST", "/predict")):
        response = ask(app, method, path)
        assert "not loaded" in refused(response, 503)
        assert response.headers["retry-after"] == "1"
    app.state.slot.load()
    assert ask(app, "GET", "/readyz").json()["status"] == "ready"


def test_starting_up_loads_the_model(tmp_path: Path):
    write_candidate(tmp_path)
    app = server.create_app(tmp_path)

    async def start() -> int:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client,
        ):
            return (await client.get("/readyz")).status_code

    assert anyio.run(start) == 200


def test_a_failure_of_the_server_itself_tells_nothing_about_it(app: FastAPI, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(server, "answer", broken)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/predict", json=question())

    assert "secret" not in refused(anyio.run(send), 500)
