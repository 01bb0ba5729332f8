"""measure: what a prediction costs, with its sensor, for candidate and champion in turns."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stages.conftest import SEED, STEPS, Scorer, few_windows, promote_candidate, train_candidate
from stages.test_evaluate import rename_column
from wattline import files, splits
from wattline.energy.meters import MeterError
from wattline.errors import InputError, WattlineError
from wattline.records import Energy, Measurement
from wattline.serving.inference.engine import Engine
from wattline.stages import measure
from wattline.stages.measure import sample


@pytest.fixture
def small(block) -> Any:
    return few_windows(block)


@pytest.fixture
def measured(trained, small, block) -> Callable[[], Measurement]:
    def run() -> Measurement:
        measure.run(measure=small, energy=block.energy, gates=block.gates, seed=SEED, task=Scorer())
        return files.read_report("measure", Measurement)

    return run


def test_figures_are_positive_and_in_order(measured):
    found = measured().candidate
    assert 0 < found.latency_p50_ms <= found.latency_p99_ms
    assert found.throughput_per_second > 0
    assert found.batch == 32
    assert found.digest == train_candidate().digest


def test_energy_has_an_interval_a_sensor_and_a_boundary(measured):
    energy = measured().candidate.energy_per_1000
    assert energy.interval[0] <= energy.joules <= energy.interval[1]
    assert energy.sensor
    assert energy.boundary
    assert energy.provenance in ("measured", "estimated")


def test_training_energy_is_handed_on(measured):
    assert measured().training_energy == files.read_report("train_energy", Energy)


def test_without_a_champion_there_is_one_contender(measured):
    assert measured().champion is None


def test_a_champion_is_measured_too(measured):
    champion = promote_candidate()
    found = measured().champion
    assert found is not None
    assert found.digest == champion.digest


def test_the_distribution_of_latencies_is_drawn(measured):
    measured()
    assert (files.REPORTS / "measure" / "latency.png").read_bytes().startswith(b"\x89PNG")


def test_the_machine_is_described_without_its_name(measured):
    import platform

    found = measured().machine
    assert platform.machine() in found
    assert platform.node() not in found


def test_contenders_take_turns_in_alternating_order(measured, monkeypatch):
    promote_candidate()
    order: list[int] = []
    run = Engine.run

    def watched(self: Engine, windows: Any, units: Any) -> Any:
        if len(windows) > 1 and (not order or order[-1] != id(self)):
            order.append(id(self))
        return run(self, windows, units)

    monkeypatch.setattr(Engine, "run", watched)
    measured()
    first, second = order[:2]
    # candidate champion | champion candidate | candidate champion, neighbours merged
    assert order == [first, second, first, second]


class TestSample:
    @pytest.fixture
    def drawn(self, trained, small) -> Callable[..., Any]:
        def draw(windows: int = 100) -> Any:
            test, columns = splits.read_test(), [column.name for column in splits.read_manifest().columns]
            knobs = small.model_copy(update={"windows": windows})
            return sample(Engine(files.CANDIDATE), test, columns, knobs)

        return draw

    def test_windows_come_from_every_unit_with_its_index(self, drawn):
        windows, units = drawn()
        assert windows.shape == (100, STEPS, len(splits.read_manifest().columns))
        assert np.unique(units, return_counts=True)[1].tolist() == [34, 34, 32]

    def test_more_than_there_are_is_no_problem(self, drawn):
        windows, units = drawn(5000)
        assert len(windows) == len(units) == 5000

    def test_they_are_the_same_every_time(self, drawn):
        for one, other in zip(drawn(), drawn(), strict=True):
            np.testing.assert_array_equal(one, other)


class TestRefusal:
    @pytest.fixture(autouse=True)
    def nothing_is_written(self, trained):
        yield
        assert not files.report_path("measure").exists()

    def test_without_the_energy_of_training(self, measured):
        files.report_path("train_energy").unlink()
        with pytest.raises(InputError, match=r"reports/train_energy\.json is missing"):
            measured()

    def test_a_candidate_whose_bytes_were_changed(self, measured):
        path = files.CANDIDATE / "model.onnx"
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(WattlineError, match=r"model\.onnx"):
            measured()

    def test_a_champion_that_needs_another_column(self, measured):
        promote_candidate()
        rename_column(files.CHAMPION, "of_another_site")
        with pytest.raises(InputError, match="needs column 'of_another_site'"):
            measured()


def test_a_meter_that_dies_fails_the_stage(measured, monkeypatch):
    def stop() -> Any:
        raise MeterError("the counter vanished")

    meter = SimpleNamespace(name="rapl", minimum_seconds=0.1, start=lambda: None, stop=stop)
    monkeypatch.setattr(measure.meters, "choose", lambda energy: meter)
    with pytest.raises(MeterError, match="vanished"):
        measured()
    assert not files.report_path("measure").exists()
