"""What OpenAPI says about each route: bodies, answers, examples."""

from typing import Any

from wattline.serving.call import JSON, Route

ARROW = "application/vnd.apache.arrow.stream"
NUMBER = {"type": "number", "nullable": False}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
    "example": {"error": "rows[3] lacks column power"},
}
SUMMARIES = {
    "/predict": "Score the newest window of one unit",
    "/predict/batch": "Score every complete window of a table (Arrow IPC stream)",
    "/observe": "Hand in the newest sample of one or many units; complete windows are scored",
    "/feedback": "Say what turned out to be true of an answer",
    "/v2": "Metadata of the server",
    "/v2/health/live": "Whether the process is alive",
    "/v2/health/ready": "Whether traffic may come",
    "/v2/models/{name}": "Metadata of the model",
    "/v2/models/{name}/ready": "Whether the model is ready",
    "/v2/models/{name}/infer": "Open Inference Protocol: run the graph on tensors, in JSON or in the binary extension",
    "/livez": "Whether the process is alive",
    "/readyz": "Whether traffic may come",
    "/model": "Which versions answer, the signed statement about the first of them, and since when it is champion",
    "/metrics": "Metrics in Prometheus' text format",
    "/admin/reload": "Look for a new champion now",
    "/admin/canary": "How requests are split between champion and challenger",
}
ROW = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
UNIT = {"type": "string", "minLength": 1, "maxLength": 200}
INSTANT = {"type": "string", "format": "date-time"}
PREDICT = {
    "type": "object",
    "required": ["unit", "rows"],
    "additionalProperties": False,
    "properties": {"unit": UNIT, "rows": {"type": "array", "items": ROW, "minItems": 1}, "timestamp": INSTANT},
    "example": {"unit": "node-0000", "rows": [{"power_watts": 310.5, "temperature_celsius": None}]},
}
SAMPLE = {
    "type": "object",
    "required": ["unit", "timestamp", "values"],
    "additionalProperties": False,
    "properties": {"unit": UNIT, "timestamp": INSTANT, "values": ROW},
}
OBSERVE = {
    "anyOf": [
        SAMPLE,
        {
            "type": "object",
            "required": ["samples"],
            "additionalProperties": False,
            "properties": {"samples": {"type": "array", "items": SAMPLE, "minItems": 1}},
        },
    ],
    "example": {"unit": "node-0000", "timestamp": "2026-11-21T10:00:00Z", "values": {"power_watts": 310.5}},
}
ITEM = {
    "type": "object",
    "required": ["id", "label"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 100},
        "label": {"type": ["integer", "null"], "enum": [0, 1, None]},
        "comment": {"type": "string", "maxLength": 1000},
        "at": INSTANT,
    },
}
FEEDBACK = {
    "anyOf": [
        ITEM,
        {
            "type": "object",
            "required": ["items"],
            "additionalProperties": False,
            "properties": {"items": {"type": "array", "items": ITEM, "minItems": 1, "maxItems": 1000}},
        },
    ],
    "example": {"id": "7f3c0a-0000000000001a2b", "label": 1, "comment": "fan replaced"},
}
TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
}
INFER = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": TENSOR},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
    "example": {
        "inputs": [
            {"name": "window", "shape": [1, 2, 2], "datatype": "FP32", "data": [310.5, 45.0, 311.0, 45.5]},
            {"name": "unit", "shape": [1], "datatype": "INT64", "data": [0]},
        ]
    },
}
CANARY = {
    "type": "object",
    "properties": {
        "mode": {"type": "string", "enum": ["off", "canary", "shadow"]},
        "percent": {"type": "number", "minimum": 0, "maximum": 100},
    },
    "example": {"mode": "canary", "percent": 5.0},
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/predict"): {JSON: {"schema": PREDICT}},
    ("POST", "/predict/batch"): {ARROW: {"schema": {"type": "string", "format": "binary"}}},
    ("POST", "/observe"): {JSON: {"schema": OBSERVE}},
    ("POST", "/feedback"): {JSON: {"schema": FEEDBACK}},
    ("POST", "/v2/models/{name}/infer"): {JSON: {"schema": INFER}},
    ("POST", "/v2/models/{name}/versions/{version}/infer"): {JSON: {"schema": INFER}},
    ("POST", "/admin/canary"): {JSON: {"schema": CANARY}},
}
ALWAYS = {400, 408, 413, 431, 503}
"""What the transport itself may answer to anything."""


def described(route: Route) -> dict[str, Any]:
    """Keyword arguments of `FastAPI.add_api_route` for `route`."""
    content: dict[str, Any] = {ARROW: {}} if route.template == "/predict/batch" else {JSON: {}}
    if route.template == "/metrics":
        content = {"text/plain": {}}
    success = 202 if route.template == "/feedback" else 200
    responses: dict[int | str, dict[str, Any]] = {success: {"description": "the answer", "content": content}}
    for status in sorted(_refusals(route)):
        responses[status] = {"description": "refused", "content": {JSON: {"schema": ERROR}}}
    extra: dict[str, Any] = {"parameters": _parameters(route)}
    body = BODIES.get((route.method, route.template))
    if body is not None:
        extra["requestBody"] = {"required": True, "content": body}
    template = route.template.replace("/versions/{version}", "")
    return {
        "summary": SUMMARIES[template],
        "status_code": success,
        "responses": responses,
        "openapi_extra": extra,
    }


def _refusals(route: Route) -> set[int]:
    found = set(ALWAYS)
    if route.role is not None:
        found |= {401, 403, 429}
    if "{name}" in route.template:
        found |= {404}
    if route.method == "POST":
        found |= {404, 409, 415, 422, 504, 500}
    return found


def _parameters(route: Route) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in route.template.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
