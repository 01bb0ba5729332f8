"""wattline energy compare: the answer is the exit code, the figures are printed, the samples are written down."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from stages.conftest import ROOT

from measuring import contenders
from wattline import files, splits
from wattline.measuring.report import Comparison

SMALL = {"minimum_blocks": 4, "maximum_blocks": 4, "sample_seconds": 0.1, "idle_seconds": 0.2, "idle_drift": 10.0}
Change = Callable[[Any], None]
Compare = Callable[..., subprocess.CompletedProcess[str]]


def small(block: Any) -> None:
    """Few samples, and limits that noise does not reach."""
    block["measure"] |= {"windows": 100, "batch": 32}
    block["measure"]["session"] |= SMALL
    block["energy"]["meter"] = "estimate"
    block["gates"]["energy"] |= {"margin": 2.0, "alpha": 0.002}


def change_params(*changes: Change) -> None:
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    for change in (small, *changes):
        change(tree["node_anomaly"])
    Path("params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))


@pytest.fixture
def compare(project: Path) -> Compare:
    """Run the command in a project with a candidate, as a person would."""
    (project / "src").mkdir()
    (project / "src" / "project").symlink_to(ROOT / "src" / "project")
    change_params()
    contenders.write(files.CANDIDATE, columns=splits.read_manifest().columns)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "wattline", "energy", "compare", *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "120"})

    return run


def test_a_candidate_that_costs_the_same_passes_with_all_figures(compare):
    shutil.copytree(files.CANDIDATE, "champion")
    done = compare("models/candidate", "champion")
    assert done.returncode == 0, done.stdout + done.stderr
    verdict, *figures = done.stdout.splitlines()
    assert verdict.startswith("PASS    ")
    words = ("ratio ", "control ", "candidate ", "baseline ", "accuracy ", "sensor ", "session ")
    assert [line.split()[0] for line in figures] == [word.strip() for word in words]
    said = "\n".join(figures)
    for part in (
        "margin 200.0%",
        "J [",
        "per 1,000 predictions, estimated",
        "idle power is",
        "vus_pr",
        "CPU time x 12.5 W/core",
        "overhead",
    ):
        assert part in said
    found = files.read_record(Path("reports/energy_compare.json"), Comparison)
    assert found.judgement.outcome == "PASS"
    assert len(found.test.blocks) == 8
    assert found.limits.margin == 2.0
    assert Path("reports/energy_compare.json").stat().st_size < 300_000


def test_one_that_costs_more_fails_and_the_result_goes_where_it_is_wanted(compare, tmp_path):
    change_params(
        lambda block: block["gates"]["energy"].update(margin=0.8, alpha=0.01),
        lambda block: block["measure"]["session"].update(maximum_blocks=16),
    )
    contenders.write(Path("heavy"), products=9, columns=splits.read_manifest().columns)
    done = compare("heavy", "models/candidate", "--to", "elsewhere/found.json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("FAIL    ")
    assert files.read_record(Path("elsewhere/found.json"), Comparison).judgement.outcome == "FAIL"
    assert not Path("reports/energy_compare.json").exists()


def test_without_the_evidence_that_is_demanded_there_is_no_answer(compare):
    change_params(lambda block: block["gates"]["energy"].update(evidence="measured"))
    done = compare("models/candidate", "models/candidate")
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.startswith("REFUSE  ")
    assert "estimate" in done.stdout.splitlines()[0]
    assert files.read_record(Path("reports/energy_compare.json"), Comparison).test.blocks == (), "it was told at once"


def test_an_answer_that_cannot_be_written_down_is_told_all_the_same(compare):
    done = compare("models/candidate", "models/candidate", "--to", "models")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout.startswith("PASS    ")
    assert done.stderr.endswith("models cannot be written: it is no regular file; name another path\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_leaves_nothing(compare, tmp_path, number):
    change_params(lambda block: block["measure"]["session"].update(minimum_blocks=200, maximum_blocks=200))
    words = [sys.executable, "-m", "wattline", "energy", "compare", "models/candidate", "models/candidate"]
    scratch = tmp_path / "scratch"
    with subprocess.Popen(words, env=os.environ | {"TMPDIR": str(scratch)}, stderr=subprocess.DEVNULL) as process:
        while not list(scratch.glob("*/baseline.npz")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
    assert list(scratch.iterdir()) == []
    assert not Path("reports/energy_compare.json").exists()


def no_champion() -> None:
    files.write_text(files.CHAMPION / "champion.json", '{"version": null, "digest": null}')


def damage() -> None:
    shutil.copytree(files.CANDIDATE, files.CHAMPION)
    with (files.CHAMPION / "model.onnx").open("ab") as stream:
        stream.write(b"x")


def no_rows() -> None:
    shutil.rmtree(files.PREPARED)


BAD = {
    "a folder that is not there": (lambda: None, "nowhere", "'nowhere' is no folder"),
    "a champion that nobody promoted": (no_champion, "champion", "champion/candidate.json is missing"),
    "a champion whose bytes differ": (damage, "champion", "champion/model.onnx has SHA-256"),
    "no prepared rows": (no_rows, "models/candidate", "manifest.json is missing"),
    "no margin": (
        lambda: change_params(lambda block: block["gates"]["energy"].pop("margin")),
        "models/candidate",
        "gates.energy.margin is missing",
    ),
    "a margin of nothing": (
        lambda: change_params(lambda block: block["gates"]["energy"].update(margin=0)),
        "models/candidate",
        "gates.energy.margin must be > 0",
    ),
    "an unknown meter": (
        lambda: change_params(lambda block: block["energy"].update(meter="guess")),
        "models/candidate",
        "energy.meter must be",
    ),
    "a meter that is not here": (
        lambda: change_params(lambda block: block["energy"].update(meter="rapl")),
        "models/candidate",
        "rapl does not work here",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_no_answer(compare, case):
    prepare, baseline, said = BAD[case]
    if case == "a meter that is not here" and any(Path("/sys/class/powercap").glob("intel-rapl:*")):
        pytest.skip("this machine has RAPL")
    prepare()
    done = compare("models/candidate", baseline)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("reports/energy_compare.json").exists()
