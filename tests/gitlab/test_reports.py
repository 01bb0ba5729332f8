"""Reports that GitLab shows: true of this run, also of one that failed, and in a form that its parsers take."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from gitlab.left import TASK, lock, run_of
from wattline import cli, files
from wattline.errors import InputError, WattlineError
from wattline.gitlab.reports import cases, dotenv, junit, openmetrics, write
from wattline.gitlab.reports.cases import Case
from wattline.gitlab.reports.openmetrics import Family, Sample
from wattline.records import Decision, Finding, Verdict
from wattline.settings import settings

CI = Path("reports/ci")
HOSTILE = 'a "b" <c> & \\ | ]]> \x00\x1b[31m \u2028 [[ATTACHMENT|/etc/passwd]]\nsecond line {}=#'
TOO_HOT = Finding(
    rule="expect_column_values_to_be_between",
    column="temperature",
    severity="warning",
    count=12,
    share=0.012,
    first_rows=("node-01 @ 2026-01-01: 212.0",),
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("CI_JOB_STATUS", "CI_PROJECT_PATH", "CI_PROJECT_URL"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def shown(name: str = "junit-gates.xml") -> dict[str, tuple[str, str]]:
    """Case -> kind and text, read as GitLab reads it: by suite, class and name, of which each is there once."""
    tree = ElementTree.parse(CI / name).getroot()
    assert tree.tag == "testsuites"
    found: dict[str, tuple[str, str]] = {}
    for suite in tree:
        assert suite.tag == "testsuite"
        for case in suite.findall("testcase"):
            key = f"{suite.get('name')}/{case.get('name')}"
            assert key not in found
            assert case.get("classname")
            (outcome,) = [one for one in case if one.tag != "properties"]
            text = (outcome.text or "").strip()
            assert text
            assert "[[ATTACHMENT|" not in text
            found[key] = ("passed" if outcome.tag == "system-out" else outcome.tag, text)
        kinds = [kind for key, (kind, _) in found.items() if key.startswith(f"{suite.get('name')}/")]
        counts = {"tests": len(kinds), "failures": kinds.count("failure"), "errors": kinds.count("error")}
        assert counts == {name: int(suite.get(name, "")) for name in counts}
    return found


def figures() -> dict[str, float]:
    """Every sample of metrics.txt."""
    families = list(parse((CI / "metrics.txt").read_text()))
    assert all(family.documentation for family in families)
    return {
        one.name + str(dict(sorted(one.labels.items()))): one.value for family in families for one in family.samples
    }


def variables() -> dict[str, str]:
    return dict(line.split("=", 1) for line in (CI / "wattline.env").read_text().splitlines())


def test_a_complete_run_is_shown_with_gates_expectations_figures_and_bills(root):
    candidate = run_of(root, failed=["energy"], findings=(TOO_HOT, TOO_HOT))
    assert write(CI, task=TASK).problems == ()
    tests = shown()
    assert tests["gates/quality"][0] == "passed"
    kind, text = tests["gates/energy"]
    assert kind == "failure"
    assert text.splitlines()[0] == "FAIL: the energy is what it is"
    assert "value 0.5, limit 0.4, unit 1, computed" in text
    kind, text = tests["expectations/column temperature: expect_column_values_to_be_between"]
    assert kind == "failure"
    assert text.startswith("warning: column temperature: expect_column_values_to_be_between fails 12 times (1.200%")
    assert "expectations/column temperature: expect_column_values_to_be_between (2)" in tests
    assert tests["expectations/all others"] == ("passed", "5 of 7 expectations are met by 1,000 rows of 1 units")
    found = figures()
    assert found["wattline_accepted{}"] == 0
    assert found["wattline_latency_seconds{'contender': 'candidate', 'percentile': '99'}"] == pytest.approx(2e-4)
    estimate = "{'bound': 'value', 'provenance': 'estimated'}"
    assert found[f"wattline_training_energy_joules{estimate}"] == 300
    assert found["wattline_dataset_rows{}"] == 1000
    said = variables()
    assert said["WATTLINE_DECISION"] == "rejected"
    assert said["WATTLINE_CANDIDATE_SHA256"] == candidate.digest
    assert said["WATTLINE_LOCK_SHA256"] == files.sha256(Path("dvc.lock"))
    assert json.loads((CI / "bom.cdx.json").read_text())["kind"] == "cdx"
    assert json.loads((CI / "software.cdx.json").read_text())["kind"] == "sbom.cdx"


def test_a_run_that_failed_shows_what_is_missing_and_nothing_of_the_run_before(root):
    run_of(root)
    write(CI, task=TASK)
    assert variables()["WATTLINE_DECISION"] == "accepted"
    files.report_path("evaluate").unlink()  # DVC removes it before the stage runs; those of later stages stay
    left = write(CI, task=TASK, failure="failed with exit code 2")
    tests = shown()
    assert tests["stages/job"][0] == "error"
    assert tests["stages/evaluate: reports/evaluate.json"][0] == "error"
    kind, text = tests["stages/decide: reports/decide.json"]
    assert kind == "error"
    assert "of an earlier run: reports/evaluate.json, which it rests on, is missing" in text
    assert not [name for name in tests if name.startswith("gates/")]
    assert variables()["WATTLINE_DECISION"] == "unknown"
    assert "wattline_accepted{}" not in figures()
    assert not (CI / "bom.cdx.json").exists()
    assert [one.name for one in left.reports if not one.problem] == [
        *("ingest", "validate", "profile", "prepare", "train", "train_energy", "measure"),
    ]


def test_rows_that_were_refused_are_named_and_what_rests_on_them_is_of_an_earlier_run(root):
    run_of(root)
    critical = TOO_HOT.model_copy(update={"severity": "critical"})
    old = json.loads(files.report_path("validate").read_text())
    files.write_text(files.report_path("validate"), json.dumps({**old, "findings": [critical.model_dump()]}))
    write(CI, task=TASK)
    tests = shown()
    assert tests["expectations/column temperature: expect_column_values_to_be_between"][1].startswith("critical: ")
    assert "stage validate did not end well" in tests["stages/validate: reports/validate.json"][1]
    assert tests["stages/train: reports/train.json"][0] == "error"
    assert tests["stages/profile: reports/profile.json"][0] == "passed"  # it asks nobody whether rows are good


def test_only_stages_that_should_have_run_are_asked_for(root):
    run_of(root)
    for name in ("train", "evaluate", "decide"):
        files.report_path(name).unlink()
    left = write(CI, task=TASK, wanted=["prepare", "profile"])
    assert left.problems == ()
    assert {one.stage for one in left.reports} == {"ingest", "validate", "prepare", "profile"}
    with pytest.raises(InputError, match=r"'prepair' is no stage of dvc\.yaml; stages: ingest"):
        write(CI, task=TASK, wanted=["prepair"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"candidate": 3}'])
def test_a_report_that_cannot_be_read_is_an_error_and_no_crash(root, content):
    run_of(root)
    files.write_bytes(files.report_path("decide"), content)
    lock()
    write(CI, task=TASK)
    kind, text = shown()["stages/decide: reports/decide.json"]
    assert kind == "error"
    assert "is not a report of stage decide" in text
    assert variables()["WATTLINE_DECISION"] == "unknown"


def test_without_any_run_everything_is_missing(root):
    run_of(root)
    shutil.rmtree("reports")
    Path("dvc.lock").unlink()
    left = write(CI, task=TASK)
    assert len(left.problems) == len(left.reports) == 10
    assert {kind for kind, _ in shown().values()} == {"error"}
    assert variables() == {"WATTLINE_DECISION": "unknown", "WATTLINE_REPORTS": "incomplete"}
    assert (CI / "metrics.txt").read_text().endswith("\n# EOF\n")


def test_a_gate_that_refuses_or_only_advises_is_not_shown_as_passed():
    verdicts = (
        Verdict(name="energy", passed=True, refused=True, value=float("nan"), limit=1, reason="no meter", unit="J"),
        Verdict(name="slices", passed=False, value=0, limit=1, reason="a rack is bad"),
    )
    decision = Decision(candidate="c", data="d", verdicts=verdicts, advisory=("slices",))
    refused, advice = cases.gates(decision)
    assert (refused.kind, refused.label, refused.name) == ("failure", "REFUSE", "energy")
    assert refused.text.startswith("REFUSE: no meter\nvalue none, limit 1, unit J")
    assert (advice.kind, advice.name) == ("failure", "slices (advisory)")
    assert [one.kind for one in cases.gates(Decision(candidate="c", data="d", verdicts=()))] == ["error"]


@given(some.text(), some.text())
def test_whatever_a_name_holds_the_xml_can_be_read(name, text):
    given = [Case("gates", name, "failure", "FAIL", text), Case("gates", name, "passed", "PASS", text)]
    tree = ElementTree.fromstring(junit.render(given, name=name))
    names = [case.get("name") for case in tree.iter("testcase")]
    assert len(set(names)) == 2


@given(some.text(), some.floats())
def test_whatever_a_label_holds_the_metrics_can_be_read(label, value):
    text = openmetrics.render([Family("a_joules", label, (Sample(value, {"who": label}),), unit="joules")])
    found = [one for family in parse(text) for one in family.samples]
    assert len(found) == (0 if value != value or value in (float("inf"), -float("inf")) else 1)


def test_hostile_text_is_shown_as_text(root):
    run_of(root, findings=(TOO_HOT.model_copy(update={"column": HOSTILE, "rule": HOSTILE}),))
    verdict = Verdict(name=HOSTILE, passed=False, value=1, limit=2, reason=HOSTILE, unit=HOSTILE)
    files.write_report("decide", Decision(candidate="x\nWATTLINE_DECISION=accepted", data=HOSTILE, verdicts=(verdict,)))
    lock()
    write(CI, task=TASK)
    assert any("&" in name for name in shown())
    assert figures()
    assert variables()["WATTLINE_DECISION"] == "rejected"
    assert "WATTLINE_CANDIDATE_SHA256" not in variables()


@pytest.mark.parametrize("value", ["a b", "a\nb", "$(id)", "'a'", "a" * 201, "ä"])
def test_no_variable_is_written_that_gitlab_or_a_shell_would_read_otherwise(value):
    with pytest.raises(WattlineError, match="nothing that GitLab takes"):
        dotenv.render({"NAME": value})
    with pytest.raises(WattlineError, match="at most 5120 bytes and 20 variables"):
        dotenv.render({f"N{number}": "x" for number in range(21)})


def test_prometheus_takes_the_metrics(root, tools):
    run_of(root)
    write(CI, task=TASK)
    promtool, text = [tools.path("promtool"), "check", "metrics"], (CI / "metrics.txt").read_text()
    said = subprocess.run(promtool, input=text, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_the_verb_says_what_is_missing_and_knows_that_the_job_failed(root, monkeypatch, capsys):
    run_of(root)
    files.report_path("card").unlink()
    monkeypatch.setattr(sys, "argv", ["wattline", "ci", "reports", "--code", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    out, err = capsys.readouterr()
    assert err == "reports/card.json is missing: stage card did not write it\n"
    assert out == "reports: 9 of 10 are of this run, in reports/ci/\n"
    assert shown()["stages/job"][1].endswith("failed with exit code 1")


def test_a_params_file_that_nobody_can_read_leaves_reports_too(root, monkeypatch, capsys):
    run_of(root)
    files.write_text(root / "params.yaml", "task: {name: [")
    monkeypatch.setattr(sys, "argv", ["wattline", "ci", "reports"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "params.yaml" in capsys.readouterr().err
    kind, text = shown()["stages/job"]
    assert (kind, "params.yaml" in text) == ("error", True)


WIRING = """
stages:
  rows:
    cmd: mkdir -p reports && cp rows.txt rows.out && echo '{}' > reports/rows.json
    deps: [rows.txt]
    outs: [rows.out]
    metrics: [reports/rows.json: {cache: false}]
  score:
    cmd: test ! -e broken && echo '{}' > reports/score.json
    deps: [rows.out, reports/rows.json]
    metrics: [reports/score.json: {cache: false}]
  told:
    cmd: echo '{}' > reports/told.json
    deps: [reports/score.json]
    metrics: [reports/told.json: {cache: false}]
"""


def test_dvc_itself_leaves_what_is_taken_for_a_run_that_failed(root):
    """Real DVC: two runs, of which the second stops in its second stage."""
    files.write_text(root / "dvc.yaml", WIRING)
    files.write_text(root / "rows.txt", "first")
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--quiet", "--no-scm"], check=True)
    subprocess.run([*dvc, "repro", "--quiet"], check=True)
    assert write(CI, task=TASK).problems == ()
    files.write_text(root / "rows.txt", "second")
    (root / "broken").touch()
    assert subprocess.run([*dvc, "repro", "--quiet"], capture_output=True, check=False).returncode
    left = write(CI, task=TASK)
    assert [(one.name, one.state) for one in left.reports] == [
        ("rows", "current"),
        ("score", "missing"),
        ("told", "earlier"),
    ]
