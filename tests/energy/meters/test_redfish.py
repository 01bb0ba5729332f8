"""Redfish: power and energy of a controller over HTTPS, and nothing of us for anybody else."""

import base64
import time
from decimal import Decimal

import pytest

from energy.meters.servers import Answer, certify, serving
from wattline.energy.meters import MeterError, remote
from wattline.energy.meters.redfish import Redfish, counted
from wattline.params import RedfishParams
from wattline.records import Energy
from wattline.settings import Settings

CHASSIS = "/redfish/v1/Chassis/Self"
METRICS = f"{CHASSIS}/EnvironmentMetrics"
POWER = f"{CHASSIS}/Power"
USER, WORD = "reader", "correct horse"
CREDENTIALS = {"WATTLINE_REDFISH_USER": USER, "WATTLINE_REDFISH_PASSWORD": WORD}
BASIC = "Basic " + base64.b64encode(f"{USER}:{WORD}".encode()).decode()
ABSENT = Answer({"error": {"code": "Base.1.8.ResourceMissingAtURI", "message": "not found"}}, status=404)


def metrics(watts, kwh=None):
    """An answer in the form of DMTF's schema EnvironmentMetrics."""
    content = {
        "@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
        "@odata.id": METRICS,
        "Id": "EnvironmentMetrics",
        "Name": "Environment Metrics",
        "TemperatureCelsius": {"DataSourceUri": f"{CHASSIS}/Sensors/Inlet", "Reading": 22.5},
        "PowerWatts": {"DataSourceUri": f"{CHASSIS}/Sensors/TotalPower", "Reading": watts},
    }
    if kwh is not None:
        content["EnergykWh"] = {"DataSourceUri": f"{CHASSIS}/Sensors/Energy", "Reading": kwh}
    return Answer(content)


def power(watts):
    """An answer in the form of DMTF's older schema Power."""
    return Answer(
        {
            "@odata.type": "#Power.v1_7_1.Power",
            "@odata.id": POWER,
            "Id": "Power",
            "Name": "Power",
            "PowerControl": [
                {
                    "@odata.id": f"{POWER}#/PowerControl/0",
                    "MemberId": "0",
                    "Name": "System Input Power",
                    "PowerConsumedWatts": watts,
                    "PowerMetrics": {"AverageConsumedWatts": 344, "IntervalInMin": 1},
                }
            ],
            "PowerSupplies": [{"MemberId": "0", "LastPowerOutputWatts": 170}],
        }
    )


class Controller:
    """Answers by path; a list of answers is given out one after the other, and its last again and again."""

    def __init__(self, answers):
        self.answers = {path: list(found) if isinstance(found, list) else [found] for path, found in answers.items()}

    def __call__(self, path):
        found = self.answers.get(path, [ABSENT])
        return found.pop(0) if len(found) > 1 else found[0]


def open_meter(server, *, chassis="Self", interval=0.05, **variables):
    params = RedfishParams(url=server.address, chassis=chassis, interval_seconds=interval)
    return Redfish(params, Settings(**{**CREDENTIALS, **variables}))


def read(meter, seconds=0.4):
    meter.start()
    time.sleep(seconds)
    return meter.stop()


@pytest.mark.parametrize(
    ("answers", "resource"),
    [
        ({METRICS: metrics(340), POWER: power(1)}, "EnvironmentMetrics"),
        ({POWER: power(340)}, "Power"),
        ({METRICS: metrics(None), POWER: power(340)}, "Power"),
        ({METRICS: Answer({"Name": "no power here"}), POWER: power(340)}, "Power"),
    ],
    ids=["EnvironmentMetrics", "Power", "EnvironmentMetrics without a reading", "EnvironmentMetrics without power"],
)
def test_power_of_the_chassis_is_integrated(answers, resource):
    with serving(Controller(answers)) as server:
        energy = read(open_meter(server))
        assert energy.joules == pytest.approx(340 * energy.seconds)
        assert energy.interval[0] < energy.joules < energy.interval[1]
        assert energy.provenance == "measured"
        assert energy.scope == "machine"
        assert energy.sensor == f"redfish:Self/{resource} at {server.address}"
        assert energy.boundary.startswith("chassis Self")
        assert energy.resolution_joules == pytest.approx(0.05)
        assert len(server.asked) > 6
        assert {headers["Authorization"] for _, headers in server.asked} == {BASIC}


def test_the_name_of_a_chassis_is_no_path():
    with serving(Controller({"/redfish/v1/Chassis/..%2F..%2FManagers/Power": power(100)})) as server:
        assert read(open_meter(server, chassis="../../Managers")).joules > 0


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_are_named_and_not_shown(status):
    refused = Answer({"error": {"message": f"{USER} {WORD}"}}, status=status)
    with serving(Controller({METRICS: refused})) as server, pytest.raises(MeterError) as caught:
        open_meter(server)
    assert f"HTTP {status}" in str(caught.value)
    assert "WATTLINE_REDFISH_USER and WATTLINE_REDFISH_PASSWORD" in str(caught.value)
    assert WORD not in str(caught.value)


@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_controller_with_troubles_is_an_error(status):
    with (
        serving(Controller({METRICS: Answer({}, status=status)})) as server,
        pytest.raises(MeterError, match=f"answers HTTP {status}"),
    ):
        open_meter(server)


@pytest.mark.parametrize("content", [{}, [], "text", 7, {"PowerControl": []}, {"PowerControl": [{}]}])
def test_a_chassis_without_power_names_what_was_looked_for(content):
    with (
        serving(Controller({METRICS: Answer(content), POWER: Answer(content)})) as server,
        pytest.raises(MeterError, match=r"neither EnvironmentMetrics with PowerWatts.Reading nor Power"),
    ):
        open_meter(server)


@pytest.mark.parametrize("watts", [0, -5, "340", True, [340], 1e999])
def test_a_reading_that_is_no_power_is_refused(watts):
    with (
        serving(Controller({METRICS: metrics(watts)})) as server,
        pytest.raises(MeterError, match="of a machine that runs; its sensor does not measure"),
    ):
        open_meter(server)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_an_answer_that_is_not_json_is_an_error(body):
    with (
        serving(Controller({METRICS: Answer(body)})) as server,
        pytest.raises(MeterError, match=r"not JSON; check energy\.redfish\.url"),
    ):
        open_meter(server)


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(remote, "LARGEST_ANSWER", 1000)
    with (
        serving(Controller({METRICS: Answer(b" " * 2000)})) as server,
        pytest.raises(MeterError, match="more than 1000 bytes"),
    ):
        open_meter(server)


@pytest.mark.parametrize("slow", [{"hang": 600.0}, {"drip": 0.05}], ids=["hangs", "drips"])
def test_a_controller_that_does_not_come_to_an_end_is_not_waited_for(slow, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 0.3)
    with serving(Controller({METRICS: Answer(metrics(340).content, **slow)})) as server:
        began = time.monotonic()
        with pytest.raises(MeterError, match=r"does not answer: .*timed out|did not finish its answer within 0.3 s"):
            open_meter(server)
        assert time.monotonic() - began < 30


def test_a_controller_that_is_not_there_is_an_error():
    with serving(Controller({})) as server:
        pass
    with pytest.raises(MeterError, match=r"does not answer: .*check energy.redfish.url"):
        open_meter(server)


def test_one_that_goes_away_on_the_way_is_an_error_at_the_end():
    with (
        serving(Controller({METRICS: [*[metrics(340)] * 6, Answer({}, status=500), metrics(340)]})) as server,
        pytest.raises(MeterError, match="answers HTTP 500"),
    ):
        read(open_meter(server))


def test_a_reading_that_goes_missing_on_the_way_is_an_error_at_the_end():
    with (
        serving(Controller({METRICS: [*[metrics(340)] * 6, metrics(None), metrics(340)]})) as server,
        pytest.raises(MeterError, match="gave no reading of power this time"),
    ):
        read(open_meter(server))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_to_another_place(status):
    with serving(Controller({METRICS: metrics(340)})) as other:
        elsewhere = Answer(None, status=status, headers={"Location": f"{other.address}{METRICS}"})
        with (
            serving(Controller({METRICS: elsewhere})) as server,
            pytest.raises(MeterError, match=f"sends us to {other.address}, which is not followed"),
        ):
            open_meter(server)
        assert other.asked == []


def test_a_slash_at_the_end_is_followed_to():
    moved = Answer(None, status=308, headers={"Location": f"{METRICS}/"})
    with serving(Controller({METRICS: moved, f"{METRICS}/": metrics(340)})) as server:
        assert read(open_meter(server)).joules > 0
        assert {headers["Authorization"] for _, headers in server.asked} == {BASIC}


def test_a_circle_is_left():
    moved = Answer(None, status=302, headers={"Location": METRICS})
    with (
        serving(Controller({METRICS: moved})) as server,
        pytest.raises(MeterError, match="redirects more than 3 times"),
    ):
        open_meter(server)


class TestCertificates:
    def test_of_a_private_authority_are_accepted_where_it_is_named(self, tmp_path):
        folder = certify(tmp_path)
        with serving(Controller({METRICS: metrics(340)}), certificate=folder) as server:
            energy = read(open_meter(server, WATTLINE_ENERGY_CA_FILE=str(folder / "ca.pem")), seconds=0.8)
            assert energy.sensor.endswith(server.address)

    def test_of_nobody_we_know_are_refused(self, tmp_path):
        with (
            serving(Controller({METRICS: metrics(340)}), certificate=certify(tmp_path)) as server,
            pytest.raises(MeterError, match=r"CERTIFICATE_VERIFY_FAILED.*WATTLINE_ENERGY_CA_FILE names who"),
        ):
            open_meter(server)
        assert server.asked == []

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [({"address": "127.0.0.2"}, "IP address mismatch"), ({"days": -1}, "certificate has expired")],
        ids=["of another", "too old"],
    )
    def test_that_do_not_hold_are_refused(self, tmp_path, wrong, reason):
        folder = certify(tmp_path, **wrong)
        with (
            serving(Controller({METRICS: metrics(340)}), certificate=folder) as server,
            pytest.raises(MeterError, match=reason),
        ):
            open_meter(server, WATTLINE_ENERGY_CA_FILE=str(folder / "ca.pem"))
        assert server.asked == []

    def test_a_file_without_any_is_named(self, tmp_path):
        (tmp_path / "empty.pem").write_text("nothing")
        with serving(Controller({})) as server, pytest.raises(MeterError, match="holds no certificates"):
            open_meter(server, WATTLINE_ENERGY_CA_FILE=str(tmp_path / "empty.pem"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://bmc-01.example.org", "credentials would be sent in the open; use https"),
        (f"https://{USER}@127.0.0.1", "credentials come from the environment"),
        ("https://127.0.0.1?x=1", "holds more than a place"),
        ("127.0.0.1", "is no address"),
        ("ftp://127.0.0.1", "is no address"),
        ("https://[::1", "is no address"),
        ("https://127.0.0.1:port", "is no address"),
        ("", "is no address"),
    ],
)
def test_an_address_that_shows_credentials_or_is_none_is_refused(url, said):
    params = RedfishParams(url=url, chassis="Self", interval_seconds=1)
    with pytest.raises(MeterError, match=said) as caught:
        Redfish(params, Settings(**CREDENTIALS))
    assert "energy.redfish.url" in str(caught.value)


ENERGY = Energy(
    joules=3600.0, interval=(3500.0, 3700.0), provenance="measured", sensor="power", boundary="chassis", seconds=10.0
)


def test_a_fine_counter_of_the_controllers_is_taken():
    found = counted(ENERGY, Decimal("12.000000"), Decimal("12.001010"), seconds=10.1, sensor="counter")
    assert found.joules == pytest.approx(3636)
    assert found.sensor == "counter"
    assert found.resolution_joules == pytest.approx(3.6)
    assert found.interval[1] == pytest.approx(3636 + 7.2)
    assert found.interval[0] == pytest.approx(3636 - 7.2 - 3636 * (1 - 10 / 10.1))
    assert found.parameters["integrated power"] == "3600 J"


def test_a_coarse_counter_is_not():
    assert counted(ENERGY, Decimal("12.00"), Decimal("12.01"), seconds=10.1, sensor="counter") is ENERGY
    assert counted(ENERGY, Decimal("12"), Decimal("12"), seconds=10.1, sensor="counter") is ENERGY


@pytest.mark.parametrize(("steps", "taken"), [(199, False), (200, True)])
def test_a_counter_is_fine_when_two_of_its_steps_are_one_percent(steps, taken):
    energy = ENERGY.model_copy(update={"joules": steps * 3.6})
    after = Decimal("12.000000") + Decimal(steps).scaleb(-6)
    found = counted(energy, Decimal("12.000000"), after, seconds=10.1, sensor="counter")
    assert (found.sensor == "counter") is taken


def test_a_counter_that_went_back_is_refused():
    with pytest.raises(MeterError, match=r"went back from 12.5 to 0.1 kWh"):
        counted(ENERGY, Decimal("12.5"), Decimal("0.1"), seconds=10.1, sensor="counter")


def test_sensors_that_disagree_are_refused():
    with pytest.raises(MeterError, match="counted 5400 J while its power readings make 3600 J"):
        counted(ENERGY, Decimal("12.000000"), Decimal("12.001500"), seconds=10.1, sensor="counter")


def test_the_counter_is_read_at_both_ends():
    began = time.monotonic()

    def controller(path):
        return metrics(340, kwh=round(5 + 340 * (time.monotonic() - began) / 3.6e6, 9))

    with serving(controller) as server:
        energy = read(open_meter(server), seconds=3.0)  # so long that a pause of a busy machine is a small part
    assert energy.sensor.endswith(": EnergykWh")
    assert energy.joules == pytest.approx(340 * energy.seconds, rel=0.2)
    assert energy.interval[0] <= 340 * energy.seconds <= energy.interval[1]


def test_a_counter_in_steps_of_nothing_is_no_counter():
    answer = Answer(b'{"PowerWatts": {"Reading": 340}, "EnergykWh": {"Reading": 1e-500000}}')
    with serving(lambda path: answer) as server, pytest.raises(MeterError, match="one of its sensors is wrong"):
        read(open_meter(server))


def test_a_controller_that_answers_with_a_list_is_refused():
    asked = []

    def controller(path):
        asked.append(path)
        return metrics(340) if len(asked) < 2 else Answer([])

    with serving(controller) as server, pytest.raises(MeterError, match="gave no reading of power"):
        open_meter(server)
