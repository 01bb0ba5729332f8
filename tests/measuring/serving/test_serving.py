"""The energy of the serving path is that of the real server, of all of its work, and of nothing else."""

import re
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.builders import COLUMNS
from tests.measuring.serving.site import (
    KNOBS,
    NAMES,
    ROOT,
    WATTS,
    alive,
    candidate,
    estimate,
    measured,
    powercap,
    rows,
    serving,
    tree,
)
from wattline import params
from wattline.energy.meters import Rapl
from wattline.measuring.serving.process import Server, private, served
from wattline.measuring.serving.session import serving_energy
from wattline.measuring.serving.traffic import Predictions, Rows
from wattline.measuring.serving.turns import Caller
from wattline.params import Block, ServingLoadParams
from wattline.records import ServingEnergy
from wattline.serving.inference.engine import Engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candidate(tmp_path_factory.mktemp("served") / "candidate")


@pytest.fixture(scope="module")
def found(folder: Path) -> ServingEnergy:
    return measured(folder)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with served(folder, serving(), model="anomaly", watts_per_core=WATTS, ready_seconds=120) as started:
        yield started


@pytest.fixture(scope="module")
def caller(server: Server) -> Caller:
    return Caller(server, timeout_seconds=120)


@pytest.fixture
def predictions(folder: Path) -> Predictions:
    return Predictions(Engine(folder), rows(), NAMES, connections=4)


def test_both_paths_have_a_figure_with_interval_sensor_boundary_and_provenance(found: ServingEnergy):
    for energy in (found.per_1000_requests, found.per_million_samples):
        assert 0 <= energy.interval[0] < energy.joules < energy.interval[1]
        assert (energy.provenance, energy.scope) == ("estimated", "processes")
        assert "12.5 W/core" in energy.sensor
        assert "no client, no network card" in energy.boundary
        assert energy.seconds > 0
    assert found.requests_per_second > 0
    assert found.samples_per_second > 0


def test_the_record_names_the_candidate_and_survives_a_file(found: ServingEnergy, folder: Path):
    assert found.digest == Engine(folder).candidate.digest
    assert ServingEnergy.from_json(found.to_json()) == found


def test_windows_of_both_paths_alternate_with_idle_ones(found: ServingEnergy):
    paths = [window.path for window in found.windows]
    assert paths[::2] == ["idle"] * (2 * KNOBS.repeats + 1)
    assert paths[1::2] == ["/predict", "/observe", "/observe", "/predict", "/predict", "/observe"]


def test_every_request_was_answered_with_a_score(found: ServingEnergy):
    for window in found.windows[1::2]:
        assert window.requests == window.scores >= 100
    assert sum(window.alarms for window in found.windows) > 0


def net_joules(found: ServingEnergy, path: str) -> float:
    """Mean energy of one request, by hand."""
    parts = []
    for before, busy, after in zip(found.windows, found.windows[1:], found.windows[2:], strict=False):
        if busy.path == path:
            idle = (before.joules / before.seconds + after.joules / after.seconds) / 2
            parts.append((busy.joules - idle * busy.seconds) / busy.requests)
    return sum(parts) / len(parts)


def test_idle_power_is_taken_off(found: ServingEnergy):
    assert found.idle_watts > 0
    assert found.per_1000_requests.joules == pytest.approx(1000 * net_joules(found, "/predict"))


def test_a_row_is_a_sample_of_every_column(found: ServingEnergy):
    assert found.columns == len(COLUMNS)
    per_sample = net_joules(found, "/observe") / len(COLUMNS)
    assert found.per_million_samples.joules == pytest.approx(1e6 * per_sample)


def test_a_record_from_before_still_loads(found: ServingEnergy):
    new = {"digest", "idle_watts", "columns", "connections", "windows"}
    assert ServingEnergy.from_json(found.model_dump_json(exclude=new)).windows == ()


def test_work_of_the_client_is_not_charged_to_the_server(server: Server):
    meter = estimate(server.process.pid)
    meter.start()
    begin = time.process_time()
    while time.process_time() - begin < 0.5:
        pass
    assert meter.stop().joules < 0.1 * 0.5 * WATTS


def joules_of_the_server(server: Server) -> float:
    """What its own /metrics says."""
    time.sleep(0.1)  # it looks at its clock every 25 ms
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = re.search(r'wattline_energy_joules_total\{provenance="estimated",[^\n]*\} (\S+)', text)
    assert found
    return float(found[1])


def test_the_servers_own_counter_agrees_within_5_percent(server: Server, caller: Caller, predictions: Predictions):
    meter = estimate(server.process.pid)
    before = joules_of_the_server(server)
    meter.start()
    caller.ask(predictions.next(2000), predictions)
    caller.settle()
    own = joules_of_the_server(server) - before
    assert meter.stop().joules == pytest.approx(own, rel=0.05)


def test_all_workers_of_a_server_are_read_and_none_is_left(folder: Path, predictions: Predictions):
    with served(folder, serving(workers=2), model="anomaly", watts_per_core=WATTS, ready_seconds=120) as server:
        family = tree(server.process.pid)
        meter = estimate(server.process.pid)
        meter.start()
        workers = {worker: time.clock_gettime((~worker << 3) | 2) for worker in family[1:]}
        caller = Caller(server, timeout_seconds=120)
        caller.ask(predictions.next(2000), predictions)
        caller.settle()
        used = [time.clock_gettime((~worker << 3) | 2) - before for worker, before in workers.items()]
        assert meter.stop().joules >= WATTS * sum(used)
        assert sum(seconds > 0.01 for seconds in used) >= 1
        assert tree(server.process.pid) == family
        assert len(family) >= 3
    assert [process for process in family if alive(process)] == []


def test_a_meter_of_the_whole_machine_says_that_the_client_is_inside(folder: Path, tmp_path: Path):
    watts, share, began = 5.0, 20.0, time.monotonic()

    def joules() -> float:
        """5 W from now on, and the CPU time of this process, which is the client."""
        return watts * (time.monotonic() - began) + share * time.process_time()

    with powercap(tmp_path / "powercap", joules) as root:
        found = measured(folder, meter=lambda _: Rapl(root))
    energy = found.per_1000_requests
    assert (energy.provenance, energy.scope) == ("measured", "machine")
    assert "the client runs on the same machine and is inside" in energy.boundary
    assert found.idle_watts > watts
    assert energy.interval[0] <= energy.joules <= energy.interval[1]


def test_windows_are_long_enough_for_the_meter(folder: Path):
    def slow(root: int) -> object:
        meter = estimate(root)
        meter.minimum_seconds = 0.5
        return meter

    found = measured(folder, meter=slow)
    for idle, busy in pairwise(found.windows):
        assert idle.seconds >= (0.5 if idle.path == "idle" else 0.25)
        assert busy.requests % 100 == 0
    assert max(window.requests for window in found.windows) > 100


def test_a_live_row_is_answered_from_the_rows_before_it(caller: Caller, folder: Path):
    live = Rows(Engine(folder).signature, rows(), NAMES, connections=4, request_rows=2)
    caller.ask(live.fill(), live)
    answers = caller.send(live.next(30))
    assert live.check(answers).scores == 30
    assert {b'"have":4' in body or b'"state":"complete"' in body for lane in answers for body in lane} == {True}


def test_nothing_of_the_server_is_left(found: ServingEnergy, folder: Path):
    with served(folder, serving(), model="anomaly", watts_per_core=WATTS, ready_seconds=120) as server:
        place = Path(server.params.observe.file).parent
        assert place.is_dir()
    assert not place.exists()
    assert not alive(server.process.pid)


def test_the_server_is_as_params_say_but_for_where_it_is_and_who_may_ask(tmp_path: Path):
    given = serving(workers=2, batching={"maximum_windows": 3}, auth={"mode": "keys"}, model={"origin": "registry"})
    found = private(given, tmp_path)
    assert (found.workers, found.batching, found.limits) == (2, given.batching, given.limits)
    assert (found.host, found.port, found.auth.mode, found.model.origin) == ("127.0.0.1", 0, "none", "folder")
    assert found.log.flush_seconds == given.log.flush_seconds
    assert Path(found.log.folder).is_relative_to(tmp_path)
    unlogged = private(serving(log={"folder": ""}), tmp_path)
    assert unlogged.log.folder == ""


@pytest.fixture
def block() -> Block:
    return params.load(ROOT / "params.yaml").block


def asked(block: Block, folder: Path, knobs: ServingLoadParams | None) -> ServingEnergy | None:
    measure, energy = block.measure.model_copy(update={"serving": knobs}), block.energy
    return serving_energy(folder, rows(), columns=NAMES, measure=measure, energy=energy, serving=serving())


def test_the_meter_of_params_reads_the_server_and_not_this_process(block: Block, folder: Path):
    block = block.model_copy(update={"energy": block.energy.model_copy(update={"meter": "estimate"})})
    found = asked(block, folder, KNOBS)
    assert found is not None
    assert (found.per_1000_requests.provenance, found.per_1000_requests.scope) == ("estimated", "processes")
    assert str(block.energy.watts_source) in found.per_1000_requests.sensor


def test_where_params_say_null_nothing_is_started(block: Block, tmp_path: Path):
    assert asked(block, tmp_path / "no candidate", None) is None
