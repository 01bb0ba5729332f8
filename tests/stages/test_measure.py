"""measure: what a prediction costs, with its sensor, for candidate and champion in turns."""

import contextlib
import re
import shutil
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stages.conftest import SEED, STEPS, Scorer, few_windows, measuring, promote_candidate, train_candidate
from stages.test_evaluate import rename_column
from wattline import files, splits
from wattline.energy.meters import MeterError
from wattline.energy.paired import idle_share, per_1000
from wattline.errors import InputError, WattlineError
from wattline.measuring.latency import sample
from wattline.params import EmissionsParams
from wattline.records import Measurement, TrainingEnergy
from wattline.serving.inference.engine import Engine
from wattline.stages import measure


@pytest.fixture
def small(block) -> Any:
    return few_windows(block)


@pytest.fixture
def measured(trained, small, block) -> Callable[[], Measurement]:
    def run() -> Measurement:
        measure.run(measure=small, **measuring(block))
        return files.read_report("measure", Measurement)

    return run


@pytest.fixture
def alone(finished) -> Measurement:
    """What was measured where there is no champion."""
    return files.read_report("measure", Measurement)


@pytest.fixture(scope="module")
def contested_folder(trained_folder, tmp_path_factory, block) -> Path:
    """A project after `measure` with a champion. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("contested") / "project"
    shutil.copytree(trained_folder, folder)
    with contextlib.chdir(folder):
        promote_candidate()
        measure.run(measure=few_windows(block), **measuring(block))
    return folder


@pytest.fixture
def contested(enter, contested_folder) -> Measurement:
    """What was measured beside a champion."""
    enter(contested_folder)
    return files.read_report("measure", Measurement)


def test_figures_are_positive_and_in_order(alone):
    found = alone.candidate
    assert 0 < found.latency_p50_ms <= found.latency_p99_ms
    assert found.throughput_per_second > 0
    assert found.batch == 32
    assert found.digest == train_candidate().digest


def test_energy_has_an_interval_a_sensor_and_a_boundary(alone):
    energy = alone.candidate.energy_per_1000
    assert energy.interval[0] <= energy.joules <= energy.interval[1]
    assert energy.sensor
    assert energy.boundary
    assert energy.provenance in ("measured", "estimated")


def test_the_session_of_the_energy_test_is_written_down(alone):
    test = alone.test
    assert test is not None
    assert test.problem is None
    assert [contender.digest for contender in test.contenders] == [train_candidate().digest]
    assert [block.kind for block in test.blocks] == ["control"] * 4
    assert test.headline == Scorer.description.headline
    assert test.seed == SEED
    assert files.report_path("measure").stat().st_size < 300_000


def test_the_energy_of_a_prediction_is_that_of_the_session(alone):
    assert alone.candidate.energy_per_1000 == per_1000(alone.test, "candidate")
    assert alone.candidate.idle_share == idle_share(alone.test, "candidate")
    assert 0 <= alone.candidate.idle_share < 0.5


def test_grams_are_stated_where_the_site_gives_a_factor_and_nowhere_else(measured, monkeypatch):
    assert measured().emissions == ()
    site = EmissionsParams(grams_per_kwh=250, source="the operator", as_of="2026-06-30")
    monkeypatch.setattr(measure, "run", partial(measure.run, emissions=site))
    found = measured()
    predictions, training = found.emissions
    assert predictions.kwh == found.candidate.energy_per_1000.kwh
    assert training.kwh == found.training_energy.kwh
    assert [one.grams for one in found.emissions] == [predictions.kwh * 250, training.kwh * 250]
    assert {(one.grid.source, one.grid.as_of) for one in found.emissions} == {("the operator", date(2026, 6, 30))}


def test_training_energy_is_handed_on(alone):
    assert alone.training_energy == files.read_report("train_energy", TrainingEnergy).total


def test_without_a_champion_there_is_one_contender(alone):
    assert alone.champion is None


@pytest.mark.parametrize("name", ["latency", "energy"])
def test_latencies_and_the_energy_test_are_drawn(alone, name):
    assert (files.REPORTS / "measure" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_energy_of_every_baseline_is_found_out(alone):
    assert set(alone.baselines) == {"constant"}
    assert all(energy.joules > 0 for energy in alone.baselines.values())


def test_the_machine_is_described_without_its_name(alone):
    import platform

    assert platform.machine() in alone.machine
    assert all(one in alone.machine for one in re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()))
    assert platform.node() not in alone.machine


def test_a_champion_is_measured_too_and_is_the_baseline_of_the_session(contested):
    champion, test = contested.champion, contested.test
    assert champion.digest == train_candidate(files.CHAMPION).digest
    assert [contender.name for contender in test.contenders] == ["candidate", "baseline"]
    assert test.contenders[1].digest == champion.digest
    assert sum(block.kind == "pair" for block in test.blocks) == 4
    assert champion.energy_per_1000 == per_1000(test, "baseline")


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
    monkeypatch.setattr(measure.meters, "choose", lambda energy, **_: meter)
    with pytest.raises(MeterError, match="vanished"):
        measured()
    assert not files.report_path("measure").exists()
