"""Meters of a site by name: each is made from params and environment, or says what is missing."""

import pytest

from energy.meters.servers import Answer, serving
from wattline.energy.meters import MeterError
from wattline.energy.meters.programs import run
from wattline.energy.meters.site import FACTORIES
from wattline.params import EnergyParams, RedfishParams
from wattline.settings import settings

WATTS = {"watts_per_core": 12.5, "watts_source": "data sheet", "idle_share": 0.0, "idle_source": "none"}
PARAMS = EnergyParams(**WATTS)
VARIABLES = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID", "WATTLINE_REDFISH_USER", "WATTLINE_REDFISH_PASSWORD")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def test_every_name_is_one_that_params_accept():
    for name in FACTORIES:
        assert EnergyParams(**WATTS, meter=name).meter == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("redfish", "energy.redfish is missing; state url, chassis, interval_seconds"),
        ("prometheus", "energy.prometheus is missing; state url, query, boundary, interval_seconds"),
        ("slurm", "SLURM_JOB_ID is not set"),
        ("ear", "accounts a step when it has ended"),
        ("ipmi", "neither ipmitool nor ipmi-dcmi is installed"),
    ],
)
def test_what_is_missing_is_said(name, said, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeterError, match=said) as caught:
        FACTORIES[name](PARAMS)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_credentials_come_from_the_environment(environment):
    environment.setenv("WATTLINE_REDFISH_USER", "reader")
    environment.setenv("WATTLINE_REDFISH_PASSWORD", "horse")
    answer = Answer({"PowerControl": [{"PowerConsumedWatts": 100}]})
    with serving(lambda path: answer if path.endswith("/Power") else Answer({}, status=404)) as server:
        redfish = RedfishParams(url=server.address, chassis="1", interval_seconds=1)
        meter = FACTORIES["redfish"](PARAMS.model_copy(update={"redfish": redfish}))
        assert meter.name == "redfish"
        assert {headers["Authorization"] for _, headers in server.asked} == {"Basic cmVhZGVyOmhvcnNl"}
    assert "horse" not in repr(settings())


def test_the_series_of_the_params_is_looked_for():
    series = {"url": "http://127.0.0.1:9", "query": "watts", "boundary": "node", "interval_seconds": 1.0}
    with pytest.raises(MeterError, match=r"http://127.0.0.1:9 does not answer"):
        FACTORIES["prometheus"](EnergyParams(**WATTS, prometheus=series))


def test_a_machine_without_programs_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeterError, match=r"`sacct -X` cannot be run \(No such file"):
        run(["sacct", "-X"], timeout_seconds=1.0)


@pytest.mark.parametrize("process", ["1", "7"])
def test_only_the_first_process_of_a_step_reads_it(environment, process):
    environment.setenv("SLURM_JOB_ID", "7")
    environment.setenv("SLURM_PROCID", process)
    with pytest.raises(MeterError, match=f"this is process {process} of a step.*read it in process 0"):
        FACTORIES["slurm"](PARAMS)
