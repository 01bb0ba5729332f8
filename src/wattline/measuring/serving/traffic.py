"""What is sent to the measured server, and what must come back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.measuring.serving.client import Lanes, request
from wattline.measuring.serving.process import ServingError
from wattline.records import Signature
from wattline.serving.inference.engine import Engine
from wattline.task import FloatArray, Split

WINDOWS = 256
"""Different windows that are asked about. The server keeps no answers, so more of them would change nothing."""
TOLERANCE = 1e-4
"""Largest difference from the graph called in this process, relative above one: that of the golden answers."""
UNITS, UNIT_ROWS = 64, 256
"""Units that send rows one by one, and how many of each are sent over and over."""
FIRST_ROW = datetime(2000, 1, 2, tzinfo=UTC)
"""Rows are sent as of long ago, so that many of them fit before now; the server takes none from before 2000."""


@dataclass(frozen=True)
class Answered:
    """What came back.

    scores: windows that were scored, each of which is a row of the log of answers
    alarms: those above the threshold
    """

    scores: int
    alarms: int


class Traffic(Protocol):
    """Requests of one kind.

    path: where they go
    windows: that each of them has scored
    """

    path: str
    windows: int

    def next(self, count: int) -> Lanes:
        """The next `count` requests."""
        ...

    def check(self, answers: Sequence[Sequence[bytes]]) -> Answered:
        """Look at the bodies of the answers to what `next` gave last. Raises ServingError unless they are right."""
        ...


class Predictions:
    """One window in each request, as JSON, over `connections` connections; every score is held against the graph's."""

    path, windows = "/predict", 1

    def __init__(self, engine: Engine, test: Split, columns: Sequence[str], *, connections: int) -> None:
        """test: rows whose windows are asked about; columns: names of their last axis"""
        names, windows, places = spread(engine, test, columns)
        self._expected = engine.run(windows, places)["score"].tolist()
        self._requests = [
            request(self.path, orjson.dumps({"unit": name, "rows": rows}))
            for name, rows in zip(names, _named(windows, engine.signature), strict=True)
        ]
        self._connections, self._asked = connections, 0

    def next(self, count: int) -> Lanes:
        self._asked = count
        every = [self._requests[at % len(self._requests)] for at in range(count)]
        return [every[lane :: self._connections] for lane in range(self._connections)]

    def check(self, answers: Sequence[Sequence[bytes]]) -> Answered:
        alarms = 0
        for lane, bodies in enumerate(answers):
            for place, body in enumerate(bodies):
                expected = self._expected[(lane + place * self._connections) % len(self._expected)]
                alarms += _alarm(parsed(body), expected, path=self.path)
        scores = sum(map(len, answers))
        if scores != self._asked:
            raise ServingError(f"{self.path} was asked {self._asked} times and answered {scores}; there is no figure")
        return Answered(scores, alarms)


class Rows:
    """Rows that arrive one by one at /observe, a request for each; those of one unit over one connection, in order."""

    path, windows = "/observe", 1

    def __init__(
        self, signature: Signature, test: Split, columns: Sequence[str], *, connections: int, request_rows: int
    ) -> None:
        """test: rows of units, of which some are sent over and over; columns: names of their last axis

        request_rows: that one request may hold, to fill the windows with
        """
        order = [list(columns).index(column.name) for column in signature.columns]
        chosen = list(test)[:: -(-len(test) // UNITS)]
        self._rows = {unit: _named(test[unit].values[None, -UNIT_ROWS:, order], signature)[0] for unit in chosen}
        self._signature, self._request_rows = signature, request_rows
        self._lanes = [list(self._rows)[lane::connections] for lane in range(min(connections, len(self._rows)))]
        self._sent = dict.fromkeys(self._rows, 0)
        self._asked = 0

    def fill(self) -> Lanes:
        """What completes the window of every unit, in few requests."""
        every = []
        for units in self._lanes:
            lane = []
            for unit in units:
                rows = [self._next(unit) for _ in range(self._signature.steps)]
                for at in range(0, len(rows), self._request_rows):
                    lane.append(request(self.path, orjson.dumps({"samples": rows[at : at + self._request_rows]})))
            every.append(lane)
        self._asked = len(self._rows)
        return every

    def next(self, count: int) -> Lanes:
        lanes: list[list[bytes]] = [[] for _ in self._lanes]
        for number in range(count):
            units = self._lanes[number % len(lanes)]
            unit = units[number // len(lanes) % len(units)]
            lanes[number % len(lanes)].append(request(self.path, orjson.dumps(self._next(unit))))
        self._asked = count
        return lanes

    def check(self, answers: Sequence[Sequence[bytes]]) -> Answered:
        found = [one for lane in answers for body in lane for one in parsed(body).get("answers", ())]
        scored = [one for one in found if "score" in one]
        if len(scored) != self._asked:
            states = sorted({str(one.get("state")) for one in found})
            raise ServingError(
                f"{self.path} scored {len(scored)} of {self._asked} rows, with states {', '.join(states)}; "
                "there is no figure"
            )
        if not any(isinstance(one["score"], float) for one in scored):
            raise ServingError(f"{self.path} computed no finite score in {len(scored)} answers; there is no figure")
        return Answered(len(scored), sum(one.get("alarm") is True for one in scored))

    def _next(self, unit: str) -> dict[str, Any]:
        number, rows = self._sent[unit], self._rows[unit]
        time = FIRST_ROW + number * timedelta(seconds=self._signature.cadence_seconds)
        if time > datetime.now(UTC):
            raise InputError(
                f"measure.serving.rows: {number} rows of {unit}, one every {self._signature.cadence_seconds:g} s, do "
                f"not fit between {FIRST_ROW:%Y} and now; ask for fewer"
            )
        self._sent[unit] += 1
        return {"unit": unit, "timestamp": time.isoformat(), "values": rows[number % len(rows)]}


def spread(engine: Engine, test: Split, columns: Sequence[str]) -> tuple[list[str], FloatArray, NDArray[np.int64]]:
    """Units' names, windows (at most WINDOWS, steps, columns) spread over units and time, and places of the units."""
    signature, wanted = engine.signature, engine.places(columns)
    share = -(-WINDOWS // len(test))
    names, windows = [], []
    for unit, series in test.items():
        view = series.windows(signature.steps)
        for at in np.linspace(0, len(view) - 1, min(share, len(view)), dtype=np.int64):
            names.append(unit)
            windows.append(view[at][:, wanted])
    if not windows:
        raise InputError("there is no test row to ask the server about; run `dvc repro prepare`")
    places = np.array([signature.index(name) for name in names], dtype=np.int64)
    return names[:WINDOWS], np.stack(windows[:WINDOWS]).astype(np.float32), places[:WINDOWS]


def parsed(body: bytes) -> dict[str, Any]:
    """An answer as a mapping. Raises ServingError for what is none."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise ServingError(f"the server answered what is no JSON object: {body[:100]!r}")
    return answer


def shortest(values: FloatArray) -> NDArray[np.float64]:
    """The same numbers as float64 whose decimal form is the shortest one that is this float32."""
    found: NDArray[np.float64] = values.astype(str).astype(np.float64)
    return found


def close(score: object, expected: float) -> bool:
    """Whether a score is the graph's; null stands for one that is not finite."""
    if not math.isfinite(expected):
        return score is None
    return isinstance(score, float) and abs(score - expected) <= TOLERANCE * max(1.0, abs(expected))


def _alarm(answer: dict[str, Any], expected: float, *, path: str) -> bool:
    score = answer.get("score")
    if not close(score, expected):
        raise ServingError(f"{path} answered score {score} where the graph says {expected:.6g}; there is no figure")
    return answer.get("alarm") is True


def _named(windows: FloatArray, signature: Signature) -> list[list[dict[str, float | None]]]:
    """Windows (batch, steps, columns) as rows by column name; NaN becomes null where it is written as JSON."""
    names = [column.name for column in signature.columns]
    return [[dict(zip(names, row, strict=True)) for row in window] for window in shortest(windows).tolist()]
