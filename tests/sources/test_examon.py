"""ExaMon's database: documented queries byte for byte, and every answer that is not as it should be."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from wattline import partitions
from wattline.errors import InputError
from wattline.records import Snapshot
from wattline.settings import settings
from wattline.snapshots import taking
from wattline.snapshots.pull import Question
from wattline.sources import NoSamplesError, UnitSeries, open_source, remote
from wattline.sources.examon import query
from wattline.sources.examon.query import Aggregator, Asked, Page

from .conftest import run
from .kairosdb import KairosDB, running

START = datetime(2022, 3, 1, tzinfo=UTC)
T0 = round(START.timestamp() * 1000)
STEP = 20_000
NODES = ("r205n01", "r205n02", "r206n01")
WORD, AT = "letmein", "@"
ONE = {"total_power": {"unit": "W"}}


@pytest.fixture
def database(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KairosDB]:
    monkeypatch.setattr(remote, "BACKOFF_SECONDS", 0.0)
    for name in ("USER", "PASSWORD"):
        monkeypatch.delenv(f"WATTLINE_EXAMON_{name}", raising=False)
    with running() as found:
        yield found


def options(database: KairosDB, **changes: Any) -> dict[str, Any]:
    return {
        "url": database.address,
        "start": START.isoformat(),
        "end": (START + timedelta(hours=1)).isoformat(),
        "metrics": {"total_power": {"column": "power", "unit": "W"}, "ambient": {"unit": "degC"}},
    } | changes


def read(database: KairosDB, **changes: Any) -> dict[str, UnitSeries]:
    source = open_source("examon", options(database, **changes), seed=0)
    return {unit.series.unit: unit for unit in source.units}


def fill(database: KairosDB, *, samples: int = 180) -> None:
    for place, node in enumerate(NODES):
        database.add("total_power", node, *((T0 + k * STEP, 500.0 + 100 * place + k) for k in range(samples)))
        database.add("ambient", node, *((T0 + k * STEP, 20 + place) for k in range(samples)))


def refused(units: dict[str, UnitSeries]) -> Counter[str]:
    return sum((Counter(unit.quarantined) for unit in units.values()), Counter())


class TestQueries:
    METRIC = Asked("total_power", "power", {"cluster": ["marconi100"], "plugin": ["ipmi_pub"]})

    def test_samples_are_asked_for_byte_for_byte_as_documented(self):
        body = query.points(
            Page(T0, T0 + 900_001),
            [self.METRIC],
            time_zone="Europe/Rome",
            unit_tag="node",
            units=["r205n01"],
            aggregator=Aggregator(name="avg", value=1, unit="minutes"),
            limit=1000,
        )
        assert body == (
            b'{"cache_time":0,"time_zone":"Europe/Rome","start_absolute":1646092800000,"end_absolute":1646093700000,'
            b'"metrics":[{"name":"total_power","tags":{"cluster":["marconi100"],"plugin":["ipmi_pub"],'
            b'"node":["r205n01"]},"group_by":[{"name":"tag","tags":["node"]}],"aggregators":[{"name":"avg",'
            b'"align_sampling":true,"align_start_time":false,"sampling":{"value":1,"unit":"minutes"}}],"limit":1000}]}'
        )

    def test_tags_are_asked_for_without_samples(self):
        body = query.tags(Page(T0, T0 + 1), [self.METRIC], time_zone="UTC", unit_tag="node", units=())
        assert body == (
            b'{"cache_time":0,"time_zone":"UTC","start_absolute":1646092800000,"end_absolute":1646092800000,'
            b'"metrics":[{"name":"total_power","tags":{"cluster":["marconi100"],"plugin":["ipmi_pub"]}}]}'
        )

    def test_what_is_sent_is_that_query_with_its_headers(self, database: KairosDB):
        fill(database, samples=3)
        read(database, cluster="marconi100", nodes=["r205n01"], time_zone="Europe/Rome", maximum_samples=1000)
        tags, points = database.asked
        assert (tags.method, tags.path) == ("POST", "/api/v1/datapoints/query/tags")
        assert (points.method, points.path) == ("POST", "/api/v1/datapoints/query")
        common = '"tags":{"cluster":["marconi100"],"plugin":["ipmi_pub"],"node":["r205n01"]}'
        rest = '"group_by":[{"name":"tag","tags":["node"]}],"limit":1000}'
        assert points.body.decode() == (
            f'{{"cache_time":0,"time_zone":"Europe/Rome","start_absolute":{T0},"end_absolute":{T0 + 3_599_999},'
            f'"metrics":[{{"name":"total_power",{common},{rest},{{"name":"ambient",{common},{rest}]}}'
        )
        for asked in (tags, points):
            assert asked.headers["Content-Type"] == "application/json"
            assert asked.headers["Accept-Encoding"] == "gzip"

    @pytest.mark.parametrize("change", [{"value": 7, "unit": "minutes"}, {"value": 0}, {"name": "percentile"}])
    def test_an_aggregator_that_cannot_be_paged_is_refused(self, database: KairosDB, change: dict[str, Any]):
        with pytest.raises(InputError, match=r"ingest\.options\.examon\.aggregator"):
            read(database, aggregator={"value": 1, **change})


class TestRows:
    def test_every_sample_is_a_value_of_its_node(self, database: KairosDB):
        fill(database)
        units = read(database)
        assert list(units) == list(NODES)
        unit = units["r206n01"]
        assert (unit.columns, unit.series.group) == (("power", "ambient"), "r206")
        assert unit.series.timestamps.tolist() == [(T0 + k * STEP) * 1_000_000 for k in range(180)]
        assert unit.series.values[:, 0].tolist() == [700.0 + k for k in range(180)]
        assert unit.series.values[:, 1].tolist() == [22.0] * 180
        assert not refused(units)

    def test_they_can_be_ingested(self, database: KairosDB):
        fill(database)
        run("examon", **options(database))
        report = json.loads(Path("reports/ingest.json").read_text())
        assert (report["units"], report["rows"], report["groups"]) == (3, 540, 2)

    def test_numbered_nodes_stand_in_racks_of_twenty(self, database: KairosDB):
        for node in ("19", "20", "3"):
            database.add("total_power", node, (T0, 1), (T0 + STEP, 2))
        units = read(database, metrics={"total_power": {"unit": "W"}})
        assert {unit: found.series.group for unit, found in units.items()} == {
            "node-0003": "rack-00",
            "node-0019": "rack-00",
            "node-0020": "rack-01",
        }

    @hypothesis_settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(maximum=st.integers(4, 60), together=st.integers(1, 3), cadence=st.sampled_from([10.0, 20.0, 300.0]))
    def test_the_size_of_a_page_changes_nothing(self, database: KairosDB, maximum: int, together: int, cadence: float):
        if not database.points:
            fill(database, samples=12)
        end = {"end": (START + timedelta(minutes=5)).isoformat()}
        sizes = {"maximum_samples": maximum, "nodes_per_query": together, "cadence_seconds": cadence}
        whole, paged = read(database, **end), read(database, **end, **sizes)
        assert list(whole) == list(paged)
        for name, unit in whole.items():
            assert np.array_equal(unit.series.timestamps, paged[name].series.timestamps)
            assert np.array_equal(unit.series.values, paged[name].series.values)

    def test_a_page_with_more_samples_than_its_limit_is_asked_for_in_halves(self, database: KairosDB):
        # A cadence of 900 s is promised, and it is 20 s.
        fill(database)
        units = read(database, cadence_seconds=900, maximum_samples=100)
        assert sum(len(unit.series.timestamps) for unit in units.values()) == 540
        spans = [(asked["start_absolute"], asked["end_absolute"]) for asked in database.queries]
        assert len(spans) > 7
        assert all(metric["limit"] == 100 for asked in database.queries for metric in asked["metrics"])

    def test_an_answer_that_is_too_large_is_asked_for_in_halves(
        self, database: KairosDB, monkeypatch: pytest.MonkeyPatch
    ):
        fill(database)
        whole = read(database)
        monkeypatch.setattr(remote, "LARGEST_ANSWER", 8_000)
        parts = read(database)
        assert len(database.queries) > 3
        for name, unit in whole.items():
            assert np.array_equal(unit.series.values, parts[name].series.values)

    def test_more_samples_at_one_instant_than_the_limit_are_an_error(self, database: KairosDB):
        fill(database)
        with pytest.raises(InputError, match="raise `maximum_samples`, or lower `nodes_per_query`"):
            read(database, maximum_samples=3)

    def test_of_two_values_at_one_instant_the_later_counts(self, database: KairosDB):
        database.add("total_power", "r205n01", (T0, 1), (T0 + STEP, 2), (T0, 3), (T0 + STEP, 2))
        unit = read(database, metrics={"total_power": {"unit": "W"}})["r205n01"]
        assert unit.series.values[:, 0].tolist() == [3, 2]

    def test_a_window_is_told_at_its_end(self, database: KairosDB):
        # Samples at 0, 20, 40 s have means that nobody knows before 60 s.
        fill(database, samples=181)
        minute = {"aggregator": {"name": "avg", "value": 1, "unit": "minutes"}}
        unit = read(database, **minute)["r205n01"]
        minutes = (unit.series.timestamps.astype(np.int64) // 1_000_000 - T0) / 60_000
        assert minutes.tolist() == list(range(1, 60))
        assert unit.series.values[:3, 0].tolist() == [501, 504, 507]

    def test_windows_of_neighbouring_spans_are_those_of_the_whole(self, database: KairosDB):
        fill(database, samples=181)
        cut = (START + timedelta(minutes=30)).isoformat()
        minute = {"aggregator": {"name": "avg", "value": 1, "unit": "minutes"}}
        whole = read(database, **minute)["r205n01"].series
        parts = [read(database, **minute, **span)["r205n01"].series for span in ({"end": cut}, {"start": cut})]
        assert np.array_equal(np.concatenate([part.timestamps for part in parts]), whole.timestamps)
        assert np.array_equal(np.concatenate([part.values for part in parts]), whole.values)

    def test_the_last_minutes_end_now(self, database: KairosDB):
        now = round(datetime.now(UTC).timestamp() * 1000)
        database.add("total_power", "r205n01", (now - 3_600_000, 1), (now - 60_000, 2), (now - 30_000, 3))
        span = {"start": None, "end": None, "minutes": 15}
        unit = read(database, metrics={"total_power": {"unit": "W"}}, **span)["r205n01"]
        assert unit.series.values[:, 0].tolist() == [2, 3]


class TestGrafana:
    def test_stands_before_the_database(self, database: KairosDB, monkeypatch: pytest.MonkeyPatch):
        database.grafana, database.login = "kairosdb", f"reader:{WORD}"
        monkeypatch.setenv("WATTLINE_EXAMON_USER", "reader")
        monkeypatch.setenv("WATTLINE_EXAMON_PASSWORD", WORD)
        settings.cache_clear()
        fill(database, samples=3)
        assert len(read(database, grafana_source="kairosdb")) == 3
        assert [asked.path for asked in database.asked][:2] == [
            "/api/datasources/id/kairosdb",
            "/api/datasources/proxy/7/api/v1/datapoints/query/tags",
        ]

    def test_without_such_a_data_source_says_so(self, database: KairosDB):
        database.grafana = "another"
        with pytest.raises(InputError, match="knows no data source 'kairosdb'; correct"):
            read(database, grafana_source="kairosdb")


class TestNothing:
    def test_in_the_span_is_a_result_of_its_own(self, database: KairosDB):
        database.add("total_power", "r205n01", (T0 - 1, 1), (T0 + 3_600_000, 1))
        database.add("ambient", "r205n01", (T0 - 1, 1))
        with pytest.raises(NoSamplesError, match=r"total_power, ambient at .* from 2022-03-01T00:00:00\+00:00 until"):
            read(database)

    def test_is_no_error_of_the_database(self, database: KairosDB):
        database.add("total_power", "r205n01", (T0 - 1, 1))
        database.add("ambient", "r205n01", (T0 - 1, 1))
        database.faults = [500, 500, 500, 500]
        with pytest.raises(InputError, match="failed 4 times, last: HTTP 500") as caught:
            read(database)
        assert not isinstance(caught.value, NoSamplesError)

    def test_of_a_metric_that_was_never_written_is_a_misspelling(self, database: KairosDB):
        fill(database, samples=3)
        with pytest.raises(InputError, match="has no metric 'total_powr'; it has total_power; correct `metrics`"):
            read(database, metrics={"total_powr": {"unit": "W"}})

    def test_of_one_metric_is_a_column_without_values(self, database: KairosDB):
        fill(database, samples=3)
        database.add("fan", "r205n01", (T0 - 1, 1))
        source = open_source(
            "examon", options(database, metrics={"total_power": {"unit": "W"}, "fan": {"unit": "rpm"}}), seed=0
        )
        assert "metric fan has no sample in that span" in source.notes
        assert all(np.isnan(unit.series.values[:, 1]).all() for unit in source.units)

    def test_is_written_when_there_is_nothing(self, database: KairosDB, refused):
        database.add("total_power", "r205n01", (T0 - 1, 1))
        refused("examon", "has no sample", **options(database, metrics={"total_power": {"unit": "W"}}))


class TestJunk:
    def test_is_counted_by_reason_and_the_rest_is_taken(self, database: KairosDB):
        good = [(T0 + k * STEP, float(k)) for k in range(4)]
        bad = [(T0 + 1, "OK"), (T0 + 2, None), (T0 + 3, True), (T0 + 4, 1e39), (T0 + 5, 10**400)]
        database.add("total_power", "r205n01", *good, *bad, (T0 // 1000, 5.0), (12, 5.0))
        unit = read(database, metrics=ONE)["r205n01"]
        assert unit.series.values[:, 0].tolist() == [0, 1, 2, 3]
        assert unit.quarantined == {
            "the value is no number": 3,
            "the value does not fit in 32 bits": 1,
            "the value is not finite": 1,
            "seconds where milliseconds belong": 1,
            "before 2000": 1,
        }

    def test_in_the_future_is_not_taken(self, database: KairosDB):
        now = round(datetime.now(UTC).timestamp() * 1000)
        database.add("total_power", "r205n01", (now - 40_000, 1), (now - 20_000, 2))

        def late(content: dict[str, Any]) -> dict[str, Any]:
            content["queries"][0]["results"][0]["values"].append([now + 600_000, 3])
            content["queries"][0]["sample_size"] += 1
            return content

        database.change = late
        unit = read(database, metrics=ONE, start=None, end=None, minutes=5)["r205n01"]
        assert unit.quarantined == {"in the future": 1}

    def test_from_outside_of_the_span_is_not_taken(self, database: KairosDB):
        database.add("total_power", "r205n01", (T0, 1), (T0 + STEP, 2))

        def late(content: dict[str, Any]) -> dict[str, Any]:
            content["queries"][0]["results"][0]["values"][1][0] = T0 + 3_600_000
            return content

        database.change = late
        found = read(database, metrics=ONE, minimum_rows=1)["r205n01"]
        assert found.quarantined == {"outside of the span that was asked for": 1}

    def test_only_seconds_are_an_error(self, database: KairosDB):
        database.add("total_power", "r205n01", *((T0 // 1000 + k, 1.0) for k in range(3)))
        with pytest.raises(InputError, match="all 3 instants are seconds where milliseconds belong"):
            read(database, metrics=ONE)

    def test_only_words_are_an_error(self, database: KairosDB):
        database.add("total_power", "r205n01", (T0, "OK"), (T0 + STEP, "BAD"))
        with pytest.raises(InputError, match="metric 'total_power' has no numbers, first 'OK'"):
            read(database, metrics=ONE)

    def test_a_metric_without_nodes_is_named(self, database: KairosDB):
        database.add("pue", None, (T0, 1.2), (T0 + STEP, 1.2))
        with pytest.raises(InputError, match=r"metric 'pue' has no tag 'node', .* it has cluster, plugin"):
            read(database, metrics={"pue": {"unit": "1"}})

    def test_several_series_of_one_node_are_not_mixed(self, database: KairosDB):
        for core in "01":
            database.add("temp", "r205n01", (T0, 40 + int(core)), (T0 + STEP, 50), core=core)
        with pytest.raises(InputError, match="'temp' of r205n01 is several series: tag 'core' is 0, 1; choose one"):
            read(database, metrics={"temp": {"unit": "degC"}})
        cores = {f"core_{core}": {"metric": "temp", "unit": "degC", "tags": {"core": [core]}} for core in "01"}
        assert read(database, metrics=cores)["r205n01"].series.values.tolist() == [[40, 41], [50, 50]]

    def test_a_node_whose_name_cannot_be_a_file_is_left_out_and_told(self, database: KairosDB):
        fill(database, samples=3)
        database.add("total_power", "../../etc", (T0, 1), (T0 + STEP, 1))
        source = open_source("examon", options(database), seed=0)
        assert len(list(source.units)) == 3
        assert any("../../etc" in note for note in source.notes)

    def test_a_node_that_was_not_asked_for_is_counted(self, database: KairosDB):
        fill(database, samples=3)

        def another(content: dict[str, Any]) -> dict[str, Any]:
            content["queries"][0]["results"][0]["group_by"][0]["group"]["node"] = "r999n01"
            return content

        database.change = another
        assert refused(read(database)) == {"of a unit that was not asked for": 3}

    def test_a_node_that_vanishes_ends_and_one_that_just_appeared_is_counted(self, database: KairosDB):
        fill(database, samples=10)
        database.add("total_power", "r207n01", (T0 + 11 * STEP, 1))
        database.add("total_power", "r207n02", (T0, 1), (T0 + STEP, 1))
        units = read(database)
        assert len(units["r207n02"].series.timestamps) == 2
        assert "r207n01" not in units
        assert refused(units) == {"a unit with fewer rows than minimum_rows": 1}
        assert "r207n01" in read(database, minimum_rows=1)


class TestAnswers:
    @pytest.mark.parametrize("fault", [500, 503, "cut", "half", b"<html>", b"\xff\xfe", b"[" * 100_000])
    def test_that_may_be_better_the_next_time_are_asked_for_again(self, database: KairosDB, fault: Any):
        fill(database, samples=3)
        database.faults = [fault, fault, fault]
        assert len(read(database)) == 3

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            (500, "HTTP 500 .*as the test wants it"),
            ("cut", "."),
            (429, "HTTP 429"),
            ("half", "half a JSON, or none"),
            (b"no", "half a"),
        ],
    )
    def test_that_stay_bad_are_an_error_and_nothing_is_written(
        self, database: KairosDB, refused, fault: Any, words: str
    ):
        fill(database, samples=3)
        database.faults = [None, *[fault] * 4]
        message = refused("examon", "failed 4 times", database.address, **options(database))
        assert re.search(words, message)
        assert "see to the server" in message

    def test_that_do_not_come_are_an_error(self, database: KairosDB):
        database.faults = ["hang"] * 4
        with pytest.raises(InputError, match="failed 4 times"):
            read(database, timeout_seconds=0.2)

    @pytest.mark.parametrize("status", [401, 403, 400, 404, 302])
    def test_that_will_not_change_are_asked_for_once(self, database: KairosDB, status: int):
        database.faults = [status]
        with pytest.raises(InputError, match=f"HTTP {status}"):
            read(database)
        assert len(database.asked) == 1

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda c: c["queries"][0].update(sample_size=999), "says it has 999 samples and holds 9: it is not whole"),
            (lambda c: c["queries"][0].update(sample_size="9"), "sample_size is '9'"),
            (lambda c: c["queries"][0].pop("sample_size"), "sample_size is None"),
            (lambda c: c["queries"].pop(), "1 answers to 2 questions"),
            (lambda c: c.pop("queries"), "no list of queries"),
            (lambda c: c["queries"][0].update(results=None), "no list 'results'"),
            (lambda c: c["queries"][0]["results"][0].update(values={}), "no list 'values'"),
            (lambda c: c["queries"][0]["results"][0]["values"].__setitem__(0, [1]), "no pair of instant and number"),
            (lambda c: c["queries"][0]["results"][0]["values"].__setitem__(0, "ab"), "no pair of instant and number"),
            (lambda c: c["queries"][0]["results"][0]["values"].__setitem__(0, [[1], 2]), "no numbers of ms"),
            (lambda c: c["queries"][0]["results"][0]["values"].__setitem__(0, ["x", 2]), "no number of ms"),
            (lambda c: c["queries"][0]["results"][0]["values"].__setitem__(0, [None, 2]), "no number of ms"),
            (lambda c: c["queries"][0]["results"][0].update(group_by=[]), "not grouped by tag 'node'"),
            (lambda c: c["queries"][0]["results"][0].update(group_by=[{"name": "tag", "group": 3}]), "not grouped"),
            (lambda c: c["queries"][0]["results"][0].update(tags=["a"]), "tags are no lists"),
        ],
    )
    def test_of_another_form_are_named(self, database: KairosDB, change: Callable[[Any], Any], words: str):
        fill(database, samples=3)

        def changed(content: dict[str, Any]) -> dict[str, Any]:
            change(content)
            return content

        database.change = changed
        with pytest.raises(InputError, match=words) as caught:
            read(database)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "body", [b"[]", b"3", b'{"queries": 3}', b'{"queries": [3]}', b'{"queries": [{"results": 3}]}']
    )
    def test_about_tags_of_another_form_are_named(self, database: KairosDB, body: bytes):
        database.faults = [body] * 4
        with pytest.raises(InputError, match="KairosDB"):
            read(database)

    def test_about_tags_may_have_the_form_of_the_documentation(self, database: KairosDB):
        fill(database, samples=3)
        tags = {"node": list(NODES), "cluster": ["marconi100"]}
        body = {"results": [{"name": name, "tags": tags} for name in ("total_power", "ambient")]}
        database.faults = [json.dumps(body).encode()]
        assert len(read(database)) == 3


class TestCredentials:
    def test_that_are_refused_are_named_and_not_shown(self, database: KairosDB, monkeypatch: pytest.MonkeyPatch):
        database.login = "reader:another"
        monkeypatch.setenv("WATTLINE_EXAMON_USER", "reader")
        monkeypatch.setenv("WATTLINE_EXAMON_PASSWORD", WORD)
        settings.cache_clear()
        with pytest.raises(InputError, match=r"HTTP 401 .*correct WATTLINE_EXAMON_USER and") as caught:
            read(database)
        assert WORD not in str(caught.value)

    def test_are_not_sent_in_the_open(self, database: KairosDB, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("WATTLINE_EXAMON_USER", "reader")
        settings.cache_clear()
        with pytest.raises(InputError, match="credentials would be sent in the open; use https"):
            read(database, url="http://examon.example.org:8083")

    @pytest.mark.parametrize(
        "url", [f"http://reader:{WORD}{AT}127.0.0.1", f"reader:{WORD}{AT}127.0.0.1", f"https:/{WORD}{AT}h"]
    )
    def test_in_an_address_are_not_shown(self, database: KairosDB, url: str):
        with pytest.raises(InputError, match=r"ingest\.options\.examon\.url") as caught:
            read(database, url=url)
        assert WORD not in str(caught.value)

    @pytest.mark.parametrize("url", ["127.0.0.1:8083", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x"])
    def test_an_address_that_is_none_is_named(self, database: KairosDB, url: str):
        with pytest.raises(InputError, match=r"ingest\.options\.examon\.url is"):
            read(database, url=url)


def test_nobody_at_that_address_is_an_error(database: KairosDB):
    with pytest.raises(InputError, match=r"failed 4 times, last: .*refused"):
        read(database, url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    "span",
    [{"start": None}, {"minutes": 5}, {"start": "2022-03-01T00:00:00"}, {"end": "2022-03-01T00:00:00Z"}],
)
def test_a_span_that_is_none_is_refused(database: KairosDB, span: dict[str, Any]):
    with pytest.raises(InputError, match=r"params\.yaml: ingest\.options\.examon"):
        read(database, **span)


class TestSnapshots:
    """Pulled in pages of half an hour, as a site does it."""

    def take(self, database: KairosDB, **changes: Any) -> Snapshot:
        question = Question(
            "examon",
            options(database, minutes=5, start=None, end=None, **changes),
            7,
            START,
            START + timedelta(hours=2),
            page_hours=0.5,
        )
        folder = taking.take(question, dvc=False, say=lambda _: None)
        return partitions.read_record(folder)

    def test_hold_every_sample_also_a_single_one_in_its_page(self, database: KairosDB):
        fill(database, samples=100)
        database.add("total_power", "r207n01", (T0 + 7_000_000, 7))
        snapshot = self.take(database)
        assert {unit.name: unit.rows for unit in snapshot.units} == {**dict.fromkeys(NODES, 100), "r207n01": 1}

    def test_count_a_page_of_junk_and_go_on(self, database: KairosDB):
        fill(database, samples=10)
        for node in NODES[:2]:
            database.add("total_power", node, (T0 + 6_000_000, "OK"), (T0 + 6_000_020, float("inf")))
        snapshot = self.take(database)
        assert sum(unit.rows for unit in snapshot.units) == 30
        assert snapshot.quarantined == {"the value is no number": 2, "the value is not finite": 2}

    def test_a_database_that_goes_down_in_the_middle_costs_no_page_and_no_row(self, database: KairosDB):
        fill(database, samples=360)
        undisturbed = self.take(database)
        shutil.rmtree("data")
        # Tags and samples of the first page are answered.
        database.faults = [None, None, *[503] * 4]
        with pytest.raises(InputError, match="HTTP 503"):
            self.take(database)
        asked = len(database.asked)
        assert self.take(database).id == undisturbed.id
        assert len(database.asked) - asked == 2 * 3


def test_a_node_whose_sender_writes_seconds_is_counted_and_keeps_no_other_from_being_read(database: KairosDB):
    fill(database, samples=3)
    database.add("total_power", "r207n01", (T0 // 1000, 1), (T0 // 1000 + 20, 2))
    units = read(database)
    assert list(units) == list(NODES)
    assert refused(units) == {"seconds where milliseconds belong": 2}
