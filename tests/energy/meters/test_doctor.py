"""The doctor says of every meter whether it is here and works, and by its exit code whether the chosen one does."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from energy.powercap import lay_out, patient, ticking
from wattline import params as parameters
from wattline.cli import app, energy
from wattline.energy import meters
from wattline.energy.meters import doctor, rapl


@pytest.fixture(autouse=True)
def powercap(tmp_path, monkeypatch, gpus):
    """A machine without counters and GPUs, until a test adds some."""
    root = tmp_path / "powercap"
    monkeypatch.setattr(rapl, "POWERCAP", root)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus.set(devices=0)
    return root


@pytest.fixture
def run(monkeypatch, params):
    """`wattline energy doctor` with one choice in params.yaml."""

    def invoke(meter="auto", *arguments):
        loaded = parameters.load()
        chosen = params.model_copy(update={"meter": meter})
        block = loaded.block.model_copy(update={"energy": chosen})
        monkeypatch.setattr(parameters, "load", lambda: loaded.model_copy(update={"block": block}))
        return CliRunner().invoke(app, ["energy", "doctor", *arguments])

    return invoke


def rows(output):
    """The cells of the table's rows by the name of the meter."""
    table = output.split("\n\n")[0].splitlines()[2:]
    return {line.split()[0]: line.split() for line in table}


def test_every_meter_has_a_row_and_those_that_are_out_a_reason(run):
    result = run()
    assert result.exit_code == 0, result.output
    found = rows(result.output)
    assert list(found) == list(meters.FACTORIES)
    assert found["rapl"][1:3] == ["no", "-"]
    assert found["estimate"][1:5] == ["yes", "passed", "estimated", "processes"]
    text = " ".join(result.output.split())
    assert "holds no intel-rapl package; virtual machines and some CPUs have none" in text
    assert "NVML lists no GPU" in text
    assert "a known load moves it: idle" in text
    assert text.endswith("energy.meter: auto, for work on cpu: estimate, whose figures are estimated; it works.")


@patient
def test_a_counter_is_shown_with_what_it_can_tell(powercap, run):
    with ticking(powercap):
        result = run("rapl")
    assert result.exit_code == 0, result.output
    assert rows(result.output)["rapl"][1:5] == ["yes", "passed", "measured", "machine"]
    assert "every process on it, idle power included" in " ".join(result.output.split())


def test_a_chosen_meter_that_is_absent_is_refused(run):
    result = run("rapl")
    assert result.exit_code == energy.REFUSE == 3
    assert "no meter. energy.meter: rapl does not work here" in " ".join(result.output.split())


def test_a_chosen_meter_that_fails_its_test_is_refused(powercap, run):
    lay_out(powercap)  # whose counter stands still
    result = run()
    assert result.exit_code == energy.REFUSE
    text = " ".join(result.output.split())
    assert rows(result.output)["rapl"][1:3] == ["yes", "FAILED"]
    assert "FAILED can be read: the counter of package-0 stood still" in text
    assert text.endswith("rapl; it does not work here, and every energy test with it is refused.")


def test_gpus_that_are_used_and_cannot_be_metered_are_refused(run):
    result = run("auto", "--device", "cuda")
    assert result.exit_code == energy.REFUSE
    assert "the work runs on a GPU that cannot be metered" in " ".join(result.output.split())


def test_a_sum_without_a_name_in_params_has_a_row_of_its_own(run, gpus, monkeypatch):
    gpus.set(devices=1)
    monkeypatch.setattr(doctor, "self_test", lambda meter: doctor.SelfTest(meter=meter.name, conditions=(), seconds=0))
    result = run("auto", "--device", "cuda")
    assert list(rows(result.output))[-1] == "estimate+nvml"
    assert result.exit_code == energy.REFUSE  # a test without conditions shows nothing


def test_the_doctor_runs_as_a_program_and_refuses_an_unknown_device():
    command = [sys.executable, "-m", "wattline", "energy", "doctor", "--device", "tpu"]
    root = Path(__file__).parents[3]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "wattline: --device must be cpu or cuda, got 'tpu'\n"


@pytest.mark.parametrize(
    ("joules", "text"), [(None, "unknown"), (61e-6, "61 uJ"), (0.0123, "12.3 mJ"), (1.0, "1 J"), (1400.0, "1.4e+03 J")]
)
def test_steps_are_shown_in_a_unit_that_suits_them(joules, text):
    assert doctor._joules(joules) == text
