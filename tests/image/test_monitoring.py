"""deploy/monitoring: what the tools it is for say of it, and whether alarms go off when they should."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from debian import Tools

from image.containers import ROOT, until
from wattline.serving.metrics.counters import Metrics

MONITORING = ROOT / "deploy" / "monitoring"
SERVICES = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "server.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
RULES = yaml.safe_load((MONITORING / "rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]


@pytest.mark.image
@pytest.mark.timeout(900)
class TestTools:
    """What Prometheus' own tools and a real Prometheus say."""

    def run(self, tools: Tools, command: str, *arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([tools.path(command), *arguments], capture_output=True, text=True, check=False, cwd=cwd)

    def test_promtool_accepts_the_configuration(self, tools: Tools, tmp_path: Path):
        text = (MONITORING / "prometheus.yml").read_text()
        (tmp_path / "key").write_text("wl_prometheus_")
        shutil.copyfile(MONITORING / "rules.yml", tmp_path / "rules.yml")
        text = text.replace("/run/secrets/metrics_key", "key").replace("/etc/prometheus/", "")
        (tmp_path / "prometheus.yml").write_text(text)
        done = self.run(tools, "promtool", "check", "config", "prometheus.yml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    def test_alarms_go_off_when_they_should_and_only_then(self, tools: Tools):
        done = self.run(tools, "promtool", "test", "rules", "tests/image/rules_test.yml")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_amtool_accepts_the_configuration(self, tools: Tools):
        done = self.run(tools, "amtool", "check-config", str(MONITORING / "alertmanager.yml"))
        assert done.returncode == 0, done.stdout + done.stderr

    def test_a_real_prometheus_understands_every_panel(self, tools: Tools, tmp_path: Path):
        with prometheus(tools.path("prometheus"), tmp_path) as address:
            for title, query in QUERIES:
                answer = httpx.post(f"{address}/api/v1/query", data={"query": expanded(query)}, timeout=30)
                assert answer.json()["status"] == "success", f"{title}: {answer.text}"


@contextmanager
def prometheus(command: str, folder: Path) -> Iterator[str]:
    """A Prometheus on a free port, without anything to scrape."""
    (folder / "empty.yml").write_text("{}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [command, f"--config.file={folder / 'empty.yml'}", f"--storage.tsdb.path={folder / 'data'}",
         f"--web.listen-address={address}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:

        def ready() -> bool:
            assert process.poll() is None
            try:
                return httpx.get(f"http://{address}/-/ready").status_code == 200
            except httpx.TransportError:
                return False

        until(ready)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def expanded(query: str) -> str:
    """A query with Grafana's variables as Grafana fills them in."""
    return query.replace("$__rate_interval", "1m").replace("$instance", ".*")


def test_every_metric_that_is_looked_at_is_one_that_the_server_has():
    text = Metrics().render("text/plain")[0].decode()
    known = set(re.findall(r"^# TYPE (\w+)", text, flags=re.MULTILINE))
    for query in (*(query for _, query in QUERIES), *(rule["expr"] for rule in RULES)):
        for name in re.findall(r"wattline_\w+", query):
            assert {name, re.sub(r"_(bucket|sum|count)$", "", name)} & known, name


def test_every_panel_says_what_it_shows_and_in_which_unit():
    assert len(PANELS) == len({panel["title"] for panel in PANELS})
    for panel in PANELS:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "prometheus"
    estimated = [panel for panel in PANELS if "energy_joules" in panel["targets"][0]["expr"]]
    assert estimated
    assert all("estimated" in panel["title"] for panel in estimated)


def test_panels_do_not_lie_on_each_other():
    taken = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_grafana_finds_its_data_source_and_its_dashboards_where_compose_puts_them():
    provisioning = MONITORING / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["uid"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "wattline.yml").read_text())["providers"]
    mounts = [mount.split(":") for mount in SERVICES["grafana"]["volumes"] if mount.startswith(".")]
    assert {target: source for source, target, _ in mounts} == {
        "/etc/grafana/provisioning": "../deploy/monitoring/grafana/provisioning",
        provider["options"]["path"]: "../deploy/monitoring/grafana/dashboards",
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alarm_says_how_urgent_it_is_and_what_to_do(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["remedy"]
