"""What the server counts: cheap, complete, in Prometheus' conventions, and beyond the reach of whoever calls."""

import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from wattline.serving import service
from wattline.serving.metrics.counters import ROUTES, Metrics
from wattline.serving.metrics.exposition import VERSIONS_KEPT
from wattline.serving.metrics.families import FAMILIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
DIGEST = "d" * 64
Labels = dict[str, str]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def samples(metrics: Metrics) -> dict[str, list[tuple[Labels, float]]]:
    """Series name -> labels and value of each."""
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in plain(metrics.render("")[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The one series with these labels."""
    (found,) = [figure for its, figure in samples(metrics).get(f"wattline_{name}", []) if its == labels]
    return found


def series(metrics: Metrics) -> int:
    return sum(len(found) for found in samples(metrics).values())


def populate(metrics: Metrics) -> None:
    """Make at least one series of everything."""
    metrics.loaded("anomaly", "7", DIGEST, "stable", 0.25)
    metrics.loaded("anomaly", "8", "e" * 64, "canary", 0.25)
    finish = metrics.began("/predict", "POST")
    metrics.began("/v2/models/{name}/infer", "POST")(422, 0.001, "malformed")
    metrics.waited(0.0003)
    metrics.ran("7", "stable", 3, 0.0004)
    metrics.answered("7", "stable", [1.5, 2.5, math.nan], [2.0, 2.0, 2.0])
    metrics.unanswered("8", "canary", "deadline")
    finish(200, 0.002)
    metrics.rejected("queue")
    metrics.load_failed("digest")
    metrics.swapped("anomaly", "8", "e" * 64, "canary")
    metrics.rolled_back("errors")
    metrics.canary_percent(5.0)
    metrics.logged(3)
    metrics.dropped(1)
    metrics.feedback(2)
    metrics.state(queue_windows=4, connections=2, joules=12.5)


def test_everything_that_happened_is_counted_once(metrics):
    populate(metrics)
    for _ in range(2):
        assert value(metrics, "requests_total", route="/predict", method="POST", code="200") == 1
        assert value(metrics, "request_seconds_count", route="/predict") == 1
        assert value(metrics, "request_seconds_sum", route="/predict") == pytest.approx(0.002)
        assert value(metrics, "validation_failures_total", reason="malformed") == 1
        assert value(metrics, "rejections_total", reason="queue") == 1
        assert value(metrics, "answers_total", version="7", role="stable", outcome="answered") == 2
        assert value(metrics, "answers_total", version="7", role="stable", outcome="undefined") == 1
        assert value(metrics, "answers_total", version="8", role="canary", outcome="deadline") == 1
        assert value(metrics, "alarms_total", version="7", role="stable") == 1
        assert value(metrics, "score_sum", version="7", role="stable") == 4.0
        assert value(metrics, "batch_windows_sum") == 3
        assert value(metrics, "model_load_seconds_count") == 2
        assert value(metrics, "model_load_failures_total", reason="digest") == 1
        assert value(metrics, "swaps_total", role="canary") == 1
        assert value(metrics, "queue_windows") == 4
        assert value(metrics, "requests_in_flight") == 0
        assert value(metrics, "predictions_logged_total") == 3
        assert value(metrics, "predictions_dropped_total") == 1
        assert value(metrics, "feedback_total") == 2


def test_an_observation_falls_into_the_bucket_whose_bound_it_equals_one_by_one_and_in_bulk(metrics):
    metrics.loaded("anomaly", "7", DIGEST, "stable", 0.1)
    metrics.loaded("anomaly", "8", DIGEST, "shadow", 0.1)
    scores = [0.0, 0.001, 0.0011, 5.0, -3.0, 1e9, 0.5, 0.5, 0.7, 5000.0]
    for score in scores:
        metrics.answered("7", "stable", [score], None)
    metrics.answered("8", "shadow", scores, None)
    buckets = {
        version: [
            figure for labels, figure in samples(metrics)["wattline_score_bucket"] if labels["version"] == version
        ]
        for version in ("7", "8")
    }
    assert buckets["7"] == buckets["8"]
    figures = {
        labels["le"]: figure for labels, figure in samples(metrics)["wattline_score_bucket"] if labels["version"] == "8"
    }
    assert [figures[bound] for bound in ("0.001", "0.5", "5.0", "5000.0", "+Inf")] == [3, 6, 8, 9, 10]
    assert value(metrics, "score_sum", version="8", role="shadow") == pytest.approx(sum(scores))


@pytest.mark.parametrize("count", [1, 20])
def test_a_score_that_is_no_number_spoils_no_sum_and_raises_no_alarm(metrics, count):
    metrics.loaded("anomaly", "7", DIGEST, "stable", 0.1)
    metrics.answered("7", "stable", [math.nan, -math.inf, 1.0] * count, [0.5, 0.5, math.nan] * count)
    assert value(metrics, "score_sum", version="7", role="stable") == count
    assert value(metrics, "alarms_total", version="7", role="stable") == 0
    assert value(metrics, "answers_total", version="7", role="stable", outcome="undefined") == 2 * count


def test_a_request_under_way_is_seen_and_leaves(metrics):
    finish = metrics.began("/predict", "POST")
    assert value(metrics, "requests_in_flight") == 1
    finish(200, 0.1)
    assert value(metrics, "requests_in_flight") == 0


def test_energy_and_cpu_time_only_grow(metrics):
    for joules in (1.0, 5.0, 4.0):
        metrics.energy(joules)
        found = samples(metrics)
    ((labels, total),) = found["wattline_energy_joules_total"]
    assert (labels["provenance"], total) == ("estimated", 5.0)
    assert found["wattline_cpu_seconds_total"][0][1] > 0


def test_energy_of_running_graphs_only_grows_and_is_called_an_estimate(metrics):
    for joules in (0.5, 2.0, 1.0):
        metrics.energy(5.0, inference=joules)
        found = samples(metrics)
    ((labels, total),) = found["wattline_inference_energy_joules_total"]
    assert (labels, total) == ({"provenance": "estimated"}, 2.0)
    assert found["wattline_energy_joules_total"][0][1] == 5.0


def test_cpu_time_of_runs_adds_up(metrics):
    for seconds in (0.5, 0.25):
        metrics.spent(seconds)
    assert metrics.graph_cpu_seconds == 0.75


def test_nothing_that_a_caller_writes_makes_a_series(metrics):
    metrics.began("/predict", "POST")(200, 0.1)
    metrics.began("/x", "FOO")(404, 0.1)
    metrics.began("/x", "GET")(404, 0.1)
    before = series(metrics)
    for place in range(300):
        for route, method in ((f"/wp-admin/{place}", "GET"), ("/predict\n", f"FOO{place}\n"), ('"}', "post")):
            metrics.began(route, method)(404, 0.1)
    assert series(metrics) == before
    methods = {labels["method"] for labels, _ in samples(metrics)["wattline_requests_total"]}
    routes = {labels["route"] for labels, _ in samples(metrics)["wattline_requests_total"]}
    assert (methods, routes) == ({"GET", "POST", "other"}, {"/predict", "other"})


def test_reasons_stay_few_whatever_becomes_one(metrics):
    for place in range(500):
        metrics.rejected(f"reason-{place}")
    metrics.rejected('evil"} 1\n')
    reasons = {labels["reason"] for labels, _ in samples(metrics)["wattline_rejections_total"]}
    assert "other" in reasons
    assert len(reasons) < 100


def test_every_route_of_the_server_has_series_of_its_own():
    templates = {route.template for route in service._table(*(MagicMock() for _ in range(4)), reload_seconds=1.0)}
    assert templates == set(ROUTES)


def test_versions_come_and_go_and_their_series_do_not_pile_up(metrics):
    metrics.loaded("anomaly", "champion", DIGEST, "stable", 0.1)
    sizes = []
    for place in range(20):
        metrics.loaded("anomaly", f"v{place}", f"{place:064}", "canary", 0.1)
        metrics.ran(f"v{place}", "canary", 1, 0.1)
        metrics.answered(f"v{place}", "canary", [1.0], [0.5])
        metrics.swapped("anomaly", f"v{place}", f"{place:064}", "canary")
        sizes.append(series(metrics))
    assert len(set(sizes[VERSIONS_KEPT:])) == 1
    shown = {labels["version"] for labels, _ in samples(metrics)["wattline_answers_total"]}
    assert shown == {f"v{place}" for place in range(20 - VERSIONS_KEPT, 20)}
    assert [labels["version"] for labels, _ in samples(metrics)["wattline_model_info"]] == ["champion"]
    held = sum(len(family.samples) for family in metrics.registry.collect())
    assert held < sizes[-1] + 10


def test_a_late_answer_of_a_version_that_is_long_gone_does_not_bring_its_series_back(metrics):
    for place in range(VERSIONS_KEPT + 1):
        metrics.loaded("anomaly", f"{place}", DIGEST, "stable", 0.1)
        metrics.swapped("anomaly", f"{place}", DIGEST, "stable")
    metrics.answered("0", "stable", [1.0], None)
    assert value(metrics, "answers_total", version="other", role="stable", outcome="answered") == 1
    assert all(labels["version"] != "0" for labels, _ in samples(metrics)["wattline_score_count"])


def test_a_version_that_comes_back_goes_on_counting(metrics):
    metrics.loaded("anomaly", "7", DIGEST, "stable", 0.1)
    metrics.answered("7", "stable", [1.0], None)
    metrics.loaded("anomaly", "8", DIGEST, "stable", 0.1)
    metrics.swapped("anomaly", "7", DIGEST, "stable")
    metrics.loaded("anomaly", "7", DIGEST, "stable", 0.1)
    metrics.swapped("anomaly", "8", DIGEST, "stable")
    metrics.answered("7", "stable", [1.0], None)
    assert value(metrics, "answers_total", version="7", role="stable", outcome="answered") == 2


def test_what_answers_now_is_told_apart_from_what_did(metrics):
    metrics.loaded("anomaly", "7", "a" * 64, "stable", 0.1)
    metrics.loaded("anomaly", "8", "b" * 64, "canary", 0.1)
    metrics.relabelled("anomaly", "8", "b" * 64, former="canary", role="shadow")
    info = {(labels["version"], labels["role"]) for labels, _ in samples(metrics)["wattline_model_info"]}
    assert info == {("7", "stable"), ("8", "shadow")}


def test_two_applications_in_one_process_do_not_see_each_other(metrics):
    other = Metrics()
    metrics.feedback(3)
    assert value(other, "feedback_total") == 0


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("", False),
        ("text/plain", False),
        ("*/*", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", True),
        ("application/openmetrics-text; version=none of the kind; escaping=\x01", True),
        ("text/plain;version=1.0.0;escaping=evil", False),
        (",;=", False),
    ],
)
def test_both_formats_can_be_read_and_no_header_comes_back(metrics, accept, is_openmetrics):
    populate(metrics)
    body, content_type = metrics.render(accept)
    parse = openmetrics if is_openmetrics else plain
    assert "wattline_requests" in {family.name for family in parse(body.decode())}
    assert content_type.startswith("application/openmetrics-text" if is_openmetrics else "text/plain; version=0.0.4")
    assert "evil" not in content_type
    assert "none" not in content_type


def test_promtool_has_nothing_to_say_about_it(tools, metrics):
    populate(metrics)
    body, _ = metrics.render("")
    checked = subprocess.run([tools.path("promtool"), "check", "metrics"], input=body, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def documented() -> dict[str, tuple[str, frozenset[str], str, str]]:
    """Name -> type, labels, unit and meaning, of each row of the tables in docs/metrics.md."""
    rows = re.findall(
        r"^\| `((?:wattline|process)_\w+)` \| (\w+) \| (.+?) \| (.+?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    )
    return {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)), unit, meaning)
        for name, kind, labels, unit, meaning in rows
    }


def test_the_page_lists_every_metric_of_the_code_and_no_other(metrics):
    populate(metrics)
    found = {}
    for family in plain(metrics.render("")[0].decode()):
        labels = frozenset(name for sample in family.samples for name in sample.labels) - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, labels, family.documentation)
    assert {name: (kind, labels, meaning) for name, (kind, labels, _, meaning) in documented().items()} == found
    units = {family.full_name: family.unit for family in FAMILIES}
    assert {name: unit for name, (_, _, unit, _) in documented().items() if name.startswith("wattline_")} == units


WORKER = """
import sys
from wattline.serving.metrics.counters import Metrics

metrics = Metrics()
metrics.loaded("anomaly", sys.argv[1], "d" * 64, "stable", 0.1)
for _ in range(10):
    metrics.began("/predict", "POST")(200, 0.001)
metrics.began("/predict", "POST")
metrics.answered(sys.argv[1], "stable", [1.0], [0.5])
metrics.dropped(1)
metrics.flush()
print("counted", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Worker:
    """A process that shares its numbers."""

    def __init__(self, folder: Path, version: str = "7") -> None:
        variables = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, version],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        assert self.stdout.readline() == "counted\n"

    def do(self, line: str) -> None:
        self.stdin.write(f"{line}\n")
        self.stdin.flush()

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait()
        self.stdin.close()
        self.stdout.close()

    def scraped(self) -> dict[str, float]:
        """Series as the text has it -> value, as this worker shows all of them."""
        self.do("print(metrics.render('')[0].decode() + '# END')")
        text = "".join(iter(self.stdout.readline, "# END\n"))
        assert self.stdout.readline() == "done\n"
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[type[Worker]]:
    started: list[Worker] = []

    def make(version: str = "7") -> Worker:
        started.append(Worker(tmp_path, version))
        return started[-1]

    yield make  # type: ignore[misc]
    for worker in started:
        if worker.process.returncode is None:
            worker.end(signal.SIGKILL)


REQUESTS = 'wattline_requests_total{code="200",method="POST",route="/predict"}'


def test_any_worker_shows_the_sum_and_what_a_killed_one_counted_stays(start, tmp_path):
    first, second = start(), start()
    assert first.scraped()[REQUESTS] == 20
    assert first.scraped()["wattline_requests_in_flight"] == 2
    assert first.scraped()[f'wattline_model_info{{digest="{DIGEST}",name="anomaly",role="stable",version="7"}}'] == 1
    first.end(signal.SIGKILL)
    for path in tmp_path.glob(f"gauge_live*_{first.process.pid}.db"):
        path.unlink()
    found = second.scraped()
    assert found[REQUESTS] == 20
    assert found['wattline_request_seconds_count{route="/predict"}'] == 20
    assert found['wattline_request_seconds_bucket{le="0.001",route="/predict"}'] == 20
    assert found["wattline_predictions_dropped_total"] == 2
    assert found["wattline_requests_in_flight"] == 1
    assert not [name for name in found if "pid=" in name or name.startswith("process_")]


def test_workers_that_are_not_scraped_tell_the_others_while_they_serve(start):
    first, second = start(), start()
    first.do(
        "import time; metrics.began('/livez', 'GET')(200, 0.1); metrics._flushed -= 60; "
        "metrics.state(queue_windows=1, connections=1, joules=3.0)"
    )
    assert first.stdout.readline() == "done\n"
    assert second.scraped()['wattline_requests_total{code="200",method="GET",route="/livez"}'] == 1


def test_workers_agree_on_which_versions_are_shown(start):
    """One that was started later, or swapped later, knows other versions; counters must not come and go with it."""
    first, second = start("old"), start("new")
    for worker in (first, second):
        found = worker.scraped()
        for version in ("old", "new"):
            assert found[f'wattline_answers_total{{outcome="answered",role="stable",version="{version}"}}'] == 1
    for place in range(VERSIONS_KEPT + 1):
        first.do(
            f"metrics.loaded('anomaly', 'v{place}', 'd', 'canary', 0.1); metrics.ran('v{place}', 'canary', 1, 0.1); "
            f"metrics.swapped('anomaly', 'v{place}', 'd', 'canary')"
        )
        assert first.stdout.readline() == "done\n"
    first.do("metrics.flush()")
    assert first.stdout.readline() == "done\n"
    for worker in (first, second):
        names = " ".join(worker.scraped())
        assert 'version="v0"' not in names
        assert 'version="v1"' in names
        assert 'version="old"' in names
