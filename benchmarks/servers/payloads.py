"""The same windows in the format of every server: requests as bytes, and scores out of answers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from servers.questions import Question

JSON = "application/json"
BINARY = "application/octet-stream"
HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Body:
    """What is posted."""

    content: bytes
    headers: Mapping[str, str]


def plain(question: Question) -> Body:
    """{"window": nested lists, "unit": list}"""
    return Body(_dumps(_lists(question)), {"Content-Type": JSON})


def mlflow(question: Question) -> Body:
    """MLflow's `inputs`."""
    return Body(_dumps({"inputs": _lists(question)}), {"Content-Type": JSON})


def v2(question: Question) -> Body:
    """Open Inference Protocol, all in JSON."""
    windows, units = question
    data = [_shortest(windows).ravel().tolist(), units.tolist()]
    inputs = [tensor | {"data": values} for tensor, values in zip(_tensors(question), data, strict=True)]
    return Body(_dumps({"inputs": inputs, "outputs": [{"name": "score"}]}), {"Content-Type": JSON})


def v2_binary(question: Question) -> Body:
    """Open Inference Protocol with the binary tensor extension, in both directions."""
    windows, units = question
    inputs = [
        tensor | {"parameters": {"binary_data_size": array.nbytes}}
        for tensor, array in zip(_tensors(question), question, strict=True)
    ]
    header = _dumps({"inputs": inputs, "outputs": [{"name": "score", "parameters": {"binary_data": True}}]})
    headers = {"Content-Type": BINARY, HEADER_LENGTH: str(len(header))}
    return Body(header + windows.tobytes() + units.tobytes(), headers)


def raw(question: Question) -> Body:
    """The bytes of all windows, then those of all units."""
    windows, units = question
    return Body(windows.tobytes() + units.tobytes(), {"Content-Type": BINARY})


FORMATS: Mapping[str, Callable[[Question], Body]] = {
    "plain": plain, "mlflow": mlflow, "v2": v2, "v2 binary": v2_binary, "raw": raw,
}  # fmt: skip


def request(path: str, body: Body, *, headers: Mapping[str, str], keep_alive: bool = True) -> bytes:
    """One HTTP/1.1 request."""
    fields = {"Host": "127.0.0.1", **body.headers, **headers, "Content-Length": str(len(body.content))}
    if not keep_alive:
        fields["Connection"] = "close"
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body.content


def scores(head: bytes, body: bytes) -> tuple[str, Sequence[float]]:
    """What an answer of any of the formats says: the model's version where it names one, and the scores."""
    at = head.lower().find(HEADER_LENGTH.lower().encode() + b":")
    if at < 0:
        return _of_json(orjson.loads(body))
    length = int(head[at + len(HEADER_LENGTH) + 1 :].split(b"\r\n", 1)[0])
    version, _ = _of_json(orjson.loads(body[:length]))
    return version, np.frombuffer(body[length:], np.float32).tolist()


def _of_json(answer: Any) -> tuple[str, Sequence[float]]:
    if isinstance(answer, list):  # BentoML
        return "", answer
    if "outputs" in answer:
        return answer.get("model_version") or "", answer["outputs"][0].get("data", ())
    return "", answer["score"] if "score" in answer else answer["predictions"]


def _lists(question: Question) -> dict[str, Any]:
    windows, units = question
    return {"window": _shortest(windows).tolist(), "unit": units.tolist()}


def _tensors(question: Question) -> list[dict[str, Any]]:
    windows, units = question
    return [
        {"name": "window", "shape": list(windows.shape), "datatype": "FP32"},
        {"name": "unit", "shape": list(units.shape), "datatype": "INT64"},
    ]


def _shortest(windows: np.ndarray) -> np.ndarray:
    """The same numbers as float64 whose decimal form is the shortest one that is this float32."""
    return windows.astype(str).astype(np.float64)


def _dumps(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
