"""FastAPI as people write it, and with the costly parts taken out one by one."""

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from scoring import Model

model = Model()
app = FastAPI()


class Question(BaseModel):
    """window: (batch, 64, 38); unit: (batch,)"""

    window: list[list[list[float]]]
    unit: list[int]


class Answer(BaseModel):
    """score: (batch,)"""

    score: list[float]


@app.get("/ready")
async def ready() -> dict[str, str]:
    """Whether it listens."""
    return {"status": "ready"}


@app.post("/pydantic")
async def with_pydantic(question: Question) -> Answer:
    """As in the tutorial."""
    return Answer(score=model.score_lists(question.window, question.unit))


@app.post("/orjson")
async def with_orjson(request: Request) -> Response:
    """Without validation."""
    question = orjson.loads(await request.body())
    return answer(model.score_lists(question["window"], question["unit"]))


@app.post("/bytes")
async def with_bytes(request: Request) -> Response:
    """Without JSON."""
    return answer(model.score_bytes(await request.body()))


def answer(scores: list[float]) -> Response:
    """JSON without FastAPI's serializer."""
    return Response(orjson.dumps({"score": scores}), media_type="application/json")
