"""What does a prediction cost in the graph alone, and what through the server that callers use?

python benchmarks/serving_energy.py                 this project's candidate, or else a small network
python benchmarks/serving_energy.py --turns N       other turns of each way than eight
python benchmarks/serving_energy.py --candidate DIR another candidate; it is asked random windows
python benchmarks/serving_energy.py --json FILE     and write every reading to FILE

All ways take turns with idle windows between them, the server ready all the time. An estimate is made for the process
that does the work: this one for the graph, the server's for the rest. A meter of the whole machine sees both, and the
client too.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson
from servers import model

from wattline import files, params, splits
from wattline.energy import meters
from wattline.errors import WattlineError
from wattline.measuring.serving.client import Lanes, request
from wattline.measuring.serving.net import idle_watts, net, rate
from wattline.measuring.serving.process import Server, ServingError, served
from wattline.measuring.serving.session import MILLION, boundary
from wattline.measuring.serving.traffic import Answered, Predictions, Rows, Traffic, close, parsed, shortest, spread
from wattline.measuring.serving.turns import IDLE, Caller, Reading, busy, idle, order, reading, warm_up
from wattline.records import Energy, Signature
from wattline.serving.inference.engine import Engine
from wattline.task import Series, Split

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".wattline" / "benchmarks"
BATCH, CONNECTIONS, COUNT, TURNS = 64, 8, 500, 8
READY_SECONDS = 120.0
ROWS_OF_A_UNIT = 600
IDLE_SECONDS = 0.3
GRAPH = "graph, {} at once"


class Batches:
    """So many windows in each request, as JSON of the Open Inference Protocol."""

    path, windows = "/v2/models/{name}/infer", BATCH

    def __init__(self, engine: Engine, test: Split, columns: Sequence[str]) -> None:
        _, windows, places = spread(engine, test, columns)
        windows = np.nan_to_num(windows)  # JSON tensors have no missing values
        rows = np.arange(BATCH) % len(windows)
        self._expected = engine.run(windows[rows], places[rows])["score"].tolist()
        tensors = [("window", "FP32", shortest(windows[rows])), ("unit", "INT64", places[rows])]
        inputs = [
            {"name": name, "shape": list(values.shape), "datatype": kind, "data": values.ravel().tolist()}
            for name, kind, values in tensors
        ]
        where = self.path.format(name=engine.candidate.task)
        self._request = request(where, orjson.dumps({"inputs": inputs, "outputs": [{"name": "score"}]}))
        self._asked = 0

    def next(self, count: int) -> Lanes:
        self._asked = count
        return [[self._request] * len(range(lane, count, CONNECTIONS)) for lane in range(CONNECTIONS)]

    def check(self, answers: Sequence[Sequence[bytes]]) -> Answered:
        bodies = [body for lane in answers for body in lane]
        for body in bodies:
            scores = parsed(body)["outputs"][0]["data"]
            if not all(map(close, scores, self._expected)) or len(scores) != BATCH:
                raise ServingError(f"{self.path} answered other scores than the graph")
        return Answered(BATCH * len(bodies), 0)


class Calls:
    """Calls of the graph in this process, as many windows in each."""

    def __init__(self, engine: Engine, test: Split, columns: Sequence[str], *, batch: int) -> None:
        self.path, self.windows = GRAPH.format(batch), batch
        _, windows, places = spread(engine, test, columns)
        self._engine, self._inputs = engine, (windows, places)

    def run(self, count: int) -> None:
        """Call it `count` times."""
        windows, places = self._inputs
        for number in range(count):
            rows = np.arange(number * self.windows, (number + 1) * self.windows) % len(windows)
            self._engine.run(windows[rows], places[rows])


WINDOWS = {
    GRAPH.format(1): 1,
    GRAPH.format(BATCH): BATCH,
    Predictions.path: 1,
    Batches.path: BATCH,
    Rows.path: 1,
}
"""Windows in one call or request of each way."""


def main() -> int:
    """Print a table with the energy of every way."""
    arguments = parsed_arguments()
    loaded = params.load(ROOT / "params.yaml")
    try:
        folder, test, columns = work(arguments.candidate)
        readings = session(loaded, folder, test, columns, turns=arguments.turns)
        print("\n".join(report(readings, Engine(folder).signature)))
    except WattlineError as error:
        print(f"serving_energy: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        windows = [reading.window.model_dump() for reading in readings]
        arguments.json.write_text(json.dumps(windows, indent=1) + "\n")
    return 0


def parsed_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidate", type=Path)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def work(candidate: Path | None) -> tuple[Path, Split, list[str]]:
    """Which candidate, the rows that it is asked about, and the names of their columns."""
    if candidate is None and (files.CANDIDATE / "model.onnx").is_file():
        return files.CANDIDATE, splits.read_test(), [column.name for column in splits.read_manifest().columns]
    folder = candidate or model.prepare(CACHE)["first"]
    signature = Engine(folder).signature
    return folder, random_rows(signature), [column.name for column in signature.columns]


def random_rows(signature: Signature) -> Split:
    """Rows of every known unit that no model was trained on; what they cost does not depend on what they say."""
    generator = np.random.default_rng(7)
    times = np.datetime64("2026-01-01", "ns") + np.arange(ROWS_OF_A_UNIT) * np.timedelta64(60, "s")
    shape = (ROWS_OF_A_UNIT, len(signature.columns))
    return {
        unit: Series(unit, "rack", times, generator.normal(25, 20, shape).astype(np.float32), np.zeros(shape[0]))
        for unit in signature.units
    }


def session(loaded: params.Params, folder: Path, test: Split, columns: Sequence[str], *, turns: int) -> list[Reading]:
    """Every reading of every way."""
    engine, energy = Engine(folder), loaded.block.energy
    rows = Rows(engine.signature, test, columns, connections=CONNECTIONS, request_rows=BATCH)
    asked: list[Traffic] = [
        Predictions(engine, test, columns, connections=CONNECTIONS), Batches(engine, test, columns), rows,
    ]  # fmt: skip
    called = [Calls(engine, test, columns, batch=batch) for batch in (1, BATCH)]
    with served(
        folder,
        loaded.serving,
        model=engine.candidate.task,
        watts_per_core=energy.watts_per_core,
        ready_seconds=READY_SECONDS,
    ) as server:
        caller = Caller(server, timeout_seconds=READY_SECONDS)
        caller.ask(rows.fill(), rows)
        counts: dict[Traffic, int] = {
            traffic: warm_up(caller, traffic, count=COUNT // (5 if traffic.windows > 1 else 1), minimum_seconds=0.2)
            for traffic in asked
        }
        caller.settle()
        return list(take_all(server, caller, counts, called, energy, turns=turns))


def take_all(
    server: Server,
    caller: Caller,
    counts: dict[Traffic, int],
    called: Sequence[Calls],
    energy: params.EnergyParams,
    *,
    turns: int,
) -> Iterator[Reading]:
    """Every way in each turn, between two idle windows of the meter that it is read with."""
    ours, its = meters.choose(energy), meters.choose(energy, root=server.process.pid)
    ways: dict[Traffic | Calls, int] = {**counts, **dict.fromkeys(called, COUNT)}
    for calls in called:
        calls.run(COUNT)
    for way in order(ways, turns):
        meter = ours if isinstance(way, Calls) else its
        yield idle(meter, seconds=IDLE_SECONDS)
        yield call(way, meter) if isinstance(way, Calls) else busy(caller, way, ways[way], meter=meter)
        yield idle(meter, seconds=IDLE_SECONDS)


def call(calls: Calls, meter: meters.Meter) -> Reading:
    """Read the meter while the graph is called, for at least as long as the meter needs."""
    meter.start()
    begin, count = time.monotonic(), 0
    while count == 0 or time.monotonic() - begin < meter.minimum_seconds:
        calls.run(COUNT)
        count += COUNT
    seconds = time.monotonic() - begin
    return reading(calls.path, meter.stop(), requests=count, sending_seconds=seconds)


def report(readings: Sequence[Reading], signature: Signature) -> Iterator[str]:
    """A table: a line for each way, and what one window costs beside the graph called as often."""
    columns = len(signature.columns)
    ways = WINDOWS
    found = {path: net(readings, path, per=1000 / windows, boundary="") for path, windows in ways.items()}
    yield f"{signature.steps} steps x {columns} columns, {CONNECTIONS} connections; mean of the turns, 95 % interval"
    yield f"{'way':<34}{'J per 1,000 windows':>28}{'x graph, same batch':>21}{'windows/s':>11}  provenance"
    for path, energy in found.items():
        graph = found[GRAPH.format(ways[path])].joules
        yield line(path, energy, energy.joules / graph, rate(readings, path) * ways[path])
    live = net(readings, Rows.path, per=MILLION / columns, boundary="")
    low, high = live.interval
    yield f"live path: {live.joules:.4g} [{low:.4g}, {high:.4g}] J per million samples, {live.provenance}"
    served_ones = [one for at, one in enumerate(readings) if one.window.path == IDLE and from_server(readings, at)]
    yield f"the idle server: {idle_watts(served_ones):.3g} W, taken off"
    yield f"sensor: {live.sensor}"
    yield f"boundary of what is asked over HTTP: {boundary(readings)}"


def from_server(readings: Sequence[Reading], at: int) -> bool:
    """Whether the window that an idle one stands beside was the server's."""
    beside = readings[at + 1 if at % 3 == 0 else at - 1]
    return not beside.window.path.startswith("graph")


def line(path: str, energy: Energy, ratio: float, windows_per_second: float) -> str:
    """One line of the table."""
    low, high = energy.interval
    figure = f"{energy.joules:.4g} [{low:.3g}, {high:.3g}]"
    return f"{path:<34}{figure:>28}{ratio:>21.2f}{windows_per_second:>11,.0f}  {energy.provenance}"


if __name__ == "__main__":
    sys.exit(main())
