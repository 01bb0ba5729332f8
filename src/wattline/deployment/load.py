"""A client that asks a running server over kept-open connections, as fast as it can or at a fixed rate."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson
from pydantic import SecretStr

from wattline.deployment.model import Model
from wattline.deployment.question import Question, difference, identity, questions
from wattline.measuring.serving import client
from wattline.measuring.serving.process import ServingError

PATH = "/predict"


@dataclass
class Outcome:
    """What came back.

    latencies_ms: of right answers, since each request was due [ms]
    seconds: from the first request to the last answer [s]
    problems: one line for each request that was not answered, or not rightly
    """

    latencies_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.latencies_ms) + len(self.problems)


class Client:
    """Asks one server about golden windows, and looks at every answer.

    address: http://HOST:PORT of this host, without a proxy in between
    """

    def __init__(self, address: str, model: Model, *, key: SecretStr | None, timeout_seconds: float) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self._host, self._port, self._timeout = parts.hostname, parts.port or 80, timeout_seconds
        self._questions, self._identity = questions(model), identity(model)
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
        self._requests = [client.request(PATH, one.body, headers=headers) for one in self._questions]

    def busy(self, requests: int, *, connections: int) -> Outcome:
        """Closed loop: each connection asks again as soon as it is answered. Latencies are those under full load."""
        return asyncio.run(self._all([[None] * len(range(lane, requests, connections)) for lane in range(connections)]))

    def paced(self, requests: int, *, connections: int, per_second: float) -> Outcome:
        """Open loop: one request every 1/`per_second`, whether the server keeps up or not."""
        due = [number / per_second for number in range(requests)]
        return asyncio.run(self._all([due[lane::connections] for lane in range(connections)]))

    async def _all(self, lanes: Sequence[Sequence[float | None]]) -> Outcome:
        outcome, began = Outcome(), time.perf_counter()
        await asyncio.gather(*(self._lane(lane, began, outcome) for lane in lanes if lane))
        outcome.seconds = time.perf_counter() - began
        return outcome

    async def _lane(self, due: Sequence[float | None], began: float, outcome: Outcome) -> None:
        """Ask once for each entry of `due` [s since `began`]. A connection that breaks is opened again."""
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for number, when in enumerate(due):
            if when is not None:
                await asyncio.sleep(max(0.0, began + when - time.perf_counter()))
            asked = time.perf_counter() if when is None else began + when
            place = number % len(self._questions)
            try:
                async with asyncio.timeout(self._timeout):
                    streams = streams or await asyncio.open_connection(self._host, self._port)
                    streams[1].write(self._requests[place])
                    body = await client.answer(streams[0])
                problem = _problem(body, self._questions[place], self._identity)
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, ServingError) as error:
                problem = str(error) or type(error).__name__
                if streams is not None:
                    streams[1].close()
                streams = None
            if problem is None:
                outcome.latencies_ms.append((time.perf_counter() - asked) * 1e3)
            else:
                outcome.problems.append(problem)
        if streams is not None:
            streams[1].close()


def _problem(body: bytes, question: Question, version: dict[str, str]) -> str | None:
    try:
        return difference(orjson.loads(body), question, identity=version)
    except orjson.JSONDecodeError:
        return "the answer is no JSON"
