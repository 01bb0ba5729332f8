"""Prometheus: a real one with a known past and present, and answers that no real one gives in a test."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from debian import Tools
from energy.meters.servers import Answer, Server, certify, serving, wait

from wattline.errors import InputError
from wattline.settings import settings
from wattline.sources import NoSamplesError, UnitSeries, open_source, remote
from wattline.sources.prometheus import presets, server

from .conftest import run
from .prometheus_site import LIVE, P0, PAST, SAMPLES, SCRAPE, Site, running

POWER = {"node_power_watts": {"column": "power", "unit": "W"}}
WORD = "letmein"


@pytest.fixture(scope="module")
def site(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tools, tmp_path_factory.mktemp("prometheus")) as found:
        yield found


@pytest.fixture(autouse=True)
def at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BACKOFF_SECONDS", 0.0)
    for name in ("TOKEN", "USER", "PASSWORD"):
        monkeypatch.delenv(f"WATTLINE_PROMETHEUS_{name}", raising=False)


def options(address: str, **changes: Any) -> dict[str, Any]:
    return {
        "url": address,
        "start": PAST.isoformat(),
        "end": (PAST + timedelta(minutes=2)).isoformat(),
        "cadence_seconds": SCRAPE,
        "metrics": POWER,
    } | changes


def read(address: str, **changes: Any) -> dict[str, UnitSeries]:
    return {unit.series.unit: unit for unit in open_source("prometheus", options(address, **changes), seed=0).units}


def offsets(unit: UnitSeries) -> list[int]:
    """Seconds after the beginning of the past."""
    return (unit.series.timestamps.astype(np.int64) // 1_000_000_000 - P0).tolist()


class TestPast:
    def test_every_sample_is_a_value_of_its_unit(self, site: Site):
        units = read(site.address)
        unit = units["r205n01"]
        assert (unit.columns, unit.series.group) == (("power",), "r205")
        assert offsets(unit) == list(range(0, 120, SCRAPE))
        assert unit.series.values[:, 0].tolist() == [500.0 + k for k in range(8)]

    def test_it_can_be_ingested(self, site: Site):
        run("prometheus", **options(site.address))
        report = json.loads(Path("reports/ingest.json").read_text())
        assert (report["units"], report["columns"]) == (2, 1)

    def test_a_span_with_more_points_than_an_answer_may_have(self, site: Site):
        # 14,400 points of one second: Prometheus refuses more than 11,000 at once.
        end = (PAST + timedelta(hours=4)).isoformat()
        unit = read(site.address, end=end, cadence_seconds=1)["r205n01"]
        rows = np.array(offsets(unit))
        assert rows[-1] == SAMPLES * SCRAPE - 1
        assert np.array_equal(
            unit.series.values[:, 0], 500.0 + np.minimum(rows // SCRAPE, np.where(rows < 7200, 239, 1e9))
        )
        # Within the hour without samples the last one is repeated for the five minutes of Prometheus' own lookback.
        gap = np.flatnonzero(np.diff(rows) > 1)
        assert len(gap) == 1
        # Prometheus 3 leaves out the last of them.
        assert int(rows[gap[0]]) - 239 * SCRAPE in (299, 300)
        assert int(rows[gap[0] + 1]) == 480 * SCRAPE

    def test_however_little_is_asked_for_at_once_the_rows_are_the_same(self, site: Site):
        whole = read(site.address)["r205n01"].series
        paged = read(site.address, samples_per_query=3)["r205n01"].series
        assert np.array_equal(whole.timestamps, paged.timestamps)
        assert np.array_equal(whole.values, paged.values)

    def test_rows_lie_at_multiples_of_the_cadence_whatever_the_span(self, site: Site):
        start = (PAST + timedelta(seconds=7)).isoformat()
        assert offsets(read(site.address, start=start)["r205n01"]) == list(range(SCRAPE, 120, SCRAPE))

    def test_what_is_not_finite_is_missing_or_counted(self, site: Site):
        unit = read(site.address, end=(PAST + timedelta(seconds=150)).isoformat())["r205n02"]
        assert offsets(unit) == [k * SCRAPE for k in range(10) if k not in (7, 8)]
        assert unit.quarantined == {"the value is not finite": 1}

    def test_a_rate_is_taken_over_the_window(self, site: Site):
        metrics = {"power": {"query": "sum by ($unit) (rate(work_joules_total[$window]))", "unit": "W"}}
        unit = read(site.address, metrics=metrics, window_seconds=60)["r205n01"]
        # As soon as there is a whole window.
        assert unit.series.values[3:, 0] == pytest.approx([120.0] * 4, rel=1e-6)

    def test_the_names_of_ipmi_exporter_become_columns(self, site: Site):
        unit = read(site.address, presets=["ipmi_exporter"], metrics={})["r205n01"]
        assert unit.columns == tuple(presets.IPMI_EXPORTER)
        assert unit.series.values[0].tolist() == [350, 403, 21, 64, 4200]

    def test_a_column_of_a_preset_can_be_left_out_or_replaced(self, site: Site):
        metrics = {"power": {"query": "max by ($unit) (ipmi_power_watts)", "unit": "W"}}
        kept = {"without": ["inlet", "fan_speed", "cpu_temperature"], "metrics": metrics}
        unit = read(site.address, presets=["ipmi_exporter"], **kept)["r205n01"]
        assert unit.columns == ("power", "supplies_power")
        assert unit.series.values[0].tolist() == [202, 403]

    def test_a_unit_with_a_single_row_is_counted_or_kept_for_a_snapshot(self, site: Site):
        both = {"metrics": {"single_watts": {"unit": "W"}, **POWER}, "cadence_seconds": 60}
        units = read(site.address, **both)
        assert "r205n03" not in units
        assert list(units.values())[-1].quarantined == {"a unit with fewer rows than minimum_rows": 1}
        assert len(read(site.address, **both, minimum_rows=1)["r205n03"].series) == 1


class TestNothing:
    def test_in_the_span_is_a_result_of_its_own(self, site: Site):
        span = {"start": (PAST - timedelta(hours=9)).isoformat(), "end": (PAST - timedelta(hours=8)).isoformat()}
        with pytest.raises(NoSamplesError, match="has no sample; check power in a browser"):
            read(site.address, **span)

    def test_is_written_when_there_is_nothing(self, site: Site, refused):
        refused("prometheus", "has no sample", **options(site.address, metrics={"nobody_has_this": {"unit": "1"}}))


class TestPresent:
    def now(self, site: Site, **changes: Any) -> dict[str, UnitSeries]:
        span = {"start": None, "end": None, "minutes": 2, "cadence_seconds": 1}
        return read(site.address, **span | changes)

    def test_the_names_of_node_exporter_become_columns(self, site: Site):
        found = {"presets": ["node_exporter"], "metrics": {}, "group_label": "rack", "window_seconds": 10}
        (unit,) = self.now(site, **found, unit_pattern=r"(.+):\d+").values()
        assert (unit.series.unit, unit.columns) == ("127.0.0.1", tuple(presets.NODE_EXPORTER))
        told = dict(zip(unit.columns, unit.series.values.T, strict=True))
        # A machine that is busy is not scraped at every second.
        row = np.flatnonzero(~np.isnan([told[name] for name in ("load_one", "memory_used", "cpu_share")]).any(axis=0))[
            -1
        ]
        moment = int(unit.series.timestamps[row].astype(np.int64)) / 1e9
        total, available = (site.value(f"node_memory_Mem{name}_bytes", moment) for name in ("Total", "Available"))
        assert told["load_one"][row] == pytest.approx(site.value("node_load1", moment))
        assert told["memory_used"][row] == pytest.approx(total - available, rel=1e-6)
        assert 0 <= told["cpu_share"][row] <= 100
        received = site.value('sum(rate(node_network_receive_bytes_total{device!="lo"}[10s]))', moment)
        assert told["network_in"][row] == pytest.approx(np.nan if received is None else received, rel=1e-5, nan_ok=True)

    def test_a_rack_is_what_a_label_says(self, site: Site):
        metrics = {"node_load1": {"unit": "1"}}
        (unit,) = self.now(site, metrics=metrics, group_label="rack").values()
        assert unit.series.group == "r300"

    def test_nothing_is_repeated_into_the_future(self, site: Site):
        later = {"minutes": None, "start": (datetime.now(UTC) - timedelta(seconds=60)).isoformat()}
        end = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
        (unit,) = self.now(site, **later, end=end, metrics={LIVE: {"unit": "W"}}).values()
        assert set(unit.series.values[:, 0].tolist()) == {250.5}
        assert int(unit.series.timestamps[-1].astype(np.int64)) / 1e9 <= time.time()

    def test_a_series_that_ends_is_not_repeated(self, site: Site):
        gone = 'gone_watts{instance="r400n02:9100"} 7'
        site.lines.append(gone)
        wait(lambda: (site.value("count_over_time(gone_watts[1m])") or 0) >= 3)
        site.lines.remove(gone)
        wait(lambda: site.value("gone_watts") is None)
        ended = time.time()
        wait(lambda: time.time() > ended + 3)
        (unit,) = self.now(site, metrics={"gone_watts": {"unit": "W"}}).values()
        assert int(unit.series.timestamps[-1].astype(np.int64)) / 1e9 <= ended + 1


class TestExpressions:
    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ("node_power_watts{", "does not understand the query of column 'x': .*parse error"),
            ("core_watts", r"column 'x' has more than one series for r205n01, another one is \{core="),
            ("pdu_watts", r"a series without label 'instance', .*pdu='a'.*aggregate by \(instance\)"),
            ("odd_watts", "no usable sample; not taken were the unit's name cannot be a file name: 8"),
        ],
    )  # fmt: skip
    def test_that_cannot_be_used_are_named(self, site: Site, expression: str, words: str):
        with pytest.raises(InputError, match=words) as caught:
            read(site.address, metrics={"x": {"query": expression, "unit": "W"}})
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"metrics": {}}, "give `metrics`, or some of the `presets`"),
            ({"presets": ["dcgm"]}, "presets.0"),
            ({"without": ["power"]}, "no column of a preset that is asked for"),
            ({"unit_label": "a b"}, "no name of a label"),
            ({"unit_pattern": ".*"}, "must have one"),
            ({"metrics": {name: {"column": "x", "unit": "W"} for name in "ab"}}, "more than one metric"),
        ],
    )  # fmt: skip
    def test_options_that_make_no_sense_are_refused(self, change: dict[str, Any], words: str):
        with pytest.raises(InputError, match=words):
            read("http://127.0.0.1:9", **change)

    def test_more_than_fits_into_memory_is_refused(self, site: Site):
        with pytest.raises(InputError, match="more than 5 samples in that span; take a snapshot"):
            read(site.address, maximum_samples=5)


SERIES = {"metric": {"instance": "r1n1:9100"}, "values": [[P0, "1"], [P0 + SCRAPE, "2"]]}


def good(result: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, list[Any]]]:
    told: list[Any] = []

    def answer(path: str) -> Answer:
        if path.startswith("/api/v1/query?"):
            return Answer(
                {"status": "success", "data": {"resultType": "scalar", "result": [time.time(), f"{time.time()}"]}}
            )
        found = told.pop(0) if len(told) > 1 else told[0]
        return found if isinstance(found, Answer) else Answer(found)

    # The server of the tests takes GET alone; what a question holds is tested with a real Prometheus.
    monkeypatch.setattr(remote.Remote, "post_form", lambda self, path, **form: self.get(path, **form))
    with serving(answer) as found:
        yield found, told


class TestAnswers:
    def test_that_may_be_incomplete_do_not_count(self, answers: tuple[Server, list[Any]]):
        found, told = answers
        told.append(good([SERIES], warnings=["store r2 did not answer"], infos=["might not be a counter"]))
        with pytest.raises(InputError, match=r"may be incomplete: store r2 did not answer; .*accept_warnings"):
            read(found.address)
        assert len(read(found.address, accept_warnings=True)["r1n1"].series) == 2

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ([], "there is no data"),
            ({"status": "error", "data": {}}, "there is no data"),
            ({"status": "success", "data": {"resultType": "vector"}}, "gives a vector, a matrix is needed"),
            (good({}), "no list of series"),
            (good([3]), "a series has no labels"),
            (good([{"metric": {"instance": "a"}}]), "no list of instants and numbers"),
            (good([{**SERIES, "values": [[P0, 1]]}]), "no list of instants and numbers"),
            (good([{**SERIES, "values": [[P0, "x"]]}]), "no list of instants and numbers"),
            (good([{**SERIES, "values": [P0]}]), "no list of instants and numbers"),
            (good([{"metric": {"instance": "a"}, "histograms": []}]), "is a native histogram"),
            (good([{**SERIES, "values": [[P0 * 1000, "1"]]}]), "all 1 instants are milliseconds where seconds"),
            (good([{**SERIES, "metric": {"instance": 5}}]), "a series without label 'instance'"),
        ],
    )  # fmt: skip
    def test_of_another_form_are_named(self, answers: tuple[Server, list[Any]], content: Any, words: str):
        found, told = answers
        told.append(content)
        with pytest.raises(InputError, match=words) as caught:
            read(found.address)
        assert "\n" not in str(caught.value)

    def test_with_instants_that_cannot_be_true_are_counted(self, answers: tuple[Server, list[Any]]):
        found, told = answers
        odd = [[P0 * 1000, "1"], [9e9, "1"], [5, "1"], [P0 + 30, "1e39"]]
        told.append(good([{**SERIES, "values": [*SERIES["values"], *odd]}]))
        assert read(found.address)["r1n1"].quarantined == {
            "milliseconds where seconds belong": 1,
            "in the future": 1,
            "before 2000": 1,
            "the value does not fit in 32 bits": 1,
        }

    def test_a_server_that_loads_too_much_is_asked_for_less(self, answers: tuple[Server, list[Any]]):
        found, told = answers
        much = {"status": "error", "errorType": "execution", "error": "query processing would load too many samples"}
        told += [Answer(much, status=422), Answer(much, status=422), good([SERIES]), good([])]
        assert len(read(found.address)["r1n1"].series) == 2
        steps = [path for path, _ in found.asked if "query_range" in path]
        ends = [float(re.search(r"end=([\d.]+)", path).group(1)) - P0 for path in steps]
        assert ends[:3] == [105.0, 45.0, 15.0]

    def test_a_server_that_never_can_is_an_error(self, answers: tuple[Server, list[Any]]):
        found, told = answers
        told.append(Answer({"status": "error", "error": "query processing would load too many samples"}, status=422))
        with pytest.raises(InputError, match=r"HTTP 422 .*too many samples"):
            read(found.address)

    @pytest.mark.parametrize("bad", [Answer({"error": "timeout"}, status=503), Answer(b'{"status": "succ')])
    def test_that_may_be_better_the_next_time_are_asked_for_again(self, answers: tuple[Server, list[Any]], bad: Answer):
        found, told = answers
        told += [bad, bad, bad, good([SERIES])]
        assert len(read(found.address)["r1n1"].series) == 2
        told[:] = [bad]
        with pytest.raises(InputError, match="failed 4 times, last: "):
            read(found.address)

    def test_are_waited_for_as_long_as_the_server_asks_and_ever_longer(
        self, answers: tuple[Server, list[Any]], monkeypatch: pytest.MonkeyPatch
    ):
        found, told = answers
        waits: list[float] = []
        monkeypatch.setattr(remote.time, "sleep", waits.append)
        monkeypatch.setattr(remote, "BACKOFF_SECONDS", 1.0)
        busy = [Answer({}, status=429, headers={"Retry-After": after}) for after in ("7", "86400", "tomorrow")]
        told += [*busy, good([SERIES])]
        read(found.address)
        assert waits == [7.0, remote.LONGEST_WAIT_SECONDS, 4.0]

    def test_that_drip_are_given_up(self, answers: tuple[Server, list[Any]]):
        found, told = answers
        told.append(Answer(good([SERIES]), drip=0.02))
        with pytest.raises(InputError, match=r"no whole answer within 0\.3 s"):
            read(found.address, timeout_seconds=0.3)


class TestCredentials:
    def test_a_token_is_sent(self, answers: tuple[Server, list[Any]], monkeypatch: pytest.MonkeyPatch):
        found, told = answers
        told.append(good([SERIES]))
        monkeypatch.setenv("WATTLINE_PROMETHEUS_TOKEN", WORD)
        settings.cache_clear()
        read(found.address)
        assert {headers["Authorization"] for _, headers in found.asked} == {f"Bearer {WORD}"}

    def test_a_password_is_sent_over_tls_to_whom_we_trust(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        folder = certify(tmp_path / "certificates")
        monkeypatch.setenv("WATTLINE_PROMETHEUS_USER", "reader")
        monkeypatch.setenv("WATTLINE_PROMETHEUS_PASSWORD", WORD)
        clock = {"status": "success", "data": {"resultType": "scalar", "result": [0, f"{time.time()}"]}}
        with serving(lambda _: Answer(clock), certificate=folder) as found:
            settings.cache_clear()
            with pytest.raises(
                InputError, match=r"is not trusted: .*name the certificates .* in WATTLINE_SOURCES_CA_FILE"
            ):
                read(found.address)
            assert not found.asked
            monkeypatch.setenv("WATTLINE_SOURCES_CA_FILE", str(folder / "ca.pem"))
            settings.cache_clear()
            # This server takes no POST; the question about its clock has been answered by then.
            with pytest.raises(InputError, match="HTTP 501"):
                read(found.address)
            assert [headers["Authorization"] for _, headers in found.asked] == ["Basic cmVhZGVyOmxldG1laW4="]
        monkeypatch.setenv("WATTLINE_SOURCES_CA_FILE", str(tmp_path))
        settings.cache_clear()
        with pytest.raises(InputError, match="holds no certificates; correct WATTLINE_SOURCES_CA_FILE"):
            read("https://127.0.0.1:9")

    def test_two_kinds_are_one_too_many(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("WATTLINE_PROMETHEUS_TOKEN", WORD)
        monkeypatch.setenv("WATTLINE_PROMETHEUS_USER", "reader")
        settings.cache_clear()
        with pytest.raises(InputError, match="are both set; unset one of them") as caught:
            read("https://127.0.0.1:9")
        assert WORD not in str(caught.value)

    def test_that_are_refused_are_named(self, answers: tuple[Server, list[Any]]):
        found, told = answers
        told.append(Answer({"error": "no"}, status=401))
        with pytest.raises(InputError, match=r"refuses us with HTTP 401 .*correct WATTLINE_PROMETHEUS_TOKEN"):
            read(found.address)
        assert len([path for path, _ in found.asked if "query_range" in path]) == 1


def test_most_points_is_what_prometheus_takes(site: Site):
    import httpx

    asked = {"query": "vector(1)", "start": "0", "step": "1"}
    for points, status in ((server.MOST_POINTS, 200), (server.MOST_POINTS + 2, 400)):
        answer = httpx.get(f"{site.address}/api/v1/query_range", params=asked | {"end": str(points - 1)}, timeout=30)
        assert answer.status_code == status
